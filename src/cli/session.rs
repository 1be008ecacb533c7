//! What every verb that talks to a running Cyan needs: the global flags, the admin API, the terminal.

use std::path::{Path, PathBuf};

use super::client::Client;
use super::failure::Failure;
use super::live_line::LiveLine;
use super::terminal::{Terminal, say};
use super::whereabouts;
use crate::admin::api::{Service, Services};
use crate::model::environment::Secret;
use crate::model::name::Name;

/// Flags that every verb takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Flags of every verb")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub struct Globals {
    /// Where the admin API is: `http://HOST:PORT` or `unix:/path` [env: `CYAN_ADMIN`]
    #[arg(long, global = true, value_name = "URL")]
    pub admin: Option<String>,
    /// The config file; other verbs than `serve` take the admin address from it
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File with the admin token; `-` for standard input
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// One JSON object per answer
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask
    #[arg(long, global = true)]
    pub yes: bool,
    /// Show what would change, and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Why; stands in the journal
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,
    /// No progress and no remarks: only data, errors and what is asked
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Only ASCII characters
    #[arg(long, global = true)]
    pub ascii: bool,
}

/// A verb's view of the world.
#[derive(Debug)]
pub struct Session {
    /// The global flags.
    pub globals: Globals,
    /// The admin API.
    pub client: Client,
    /// The standard streams.
    pub terminal: Terminal,
}

impl Session {
    /// Finds the admin API and its token.
    pub fn open(globals: Globals) -> Result<Self, Failure> {
        let (address, configured) = whereabouts::find(&globals)?;
        let token = match &globals.token_file {
            Some(path) => Some(secret(path, "token")?),
            None => configured,
        };
        let client = Client { address, token, actor: actor() };
        let terminal = Terminal::detect(globals.ascii);
        Ok(Self { globals, client, terminal })
    }

    /// A line that shows how far something is.
    pub(super) fn live_line(&self) -> LiveLine {
        LiveLine::new(self.terminal, self.globals.quiet)
    }

    /// Tells something beside the data.
    pub fn remark(&self, text: &str) {
        if !self.globals.quiet {
            say(text);
        }
    }

    /// The services there are.
    pub async fn services(&self) -> Result<Vec<Service>, Failure> {
        let services: Services = self.client.get("/v1/services").await?;
        Ok(services.services)
    }

    /// The service called `name`, or the only one there is.
    pub async fn service(&self, name: Option<&str>) -> Result<Service, Failure> {
        pick(self.services().await?, name)
    }

    /// A service and an environment from the words of a command line: `[SERVICE] ENVIRONMENT`.
    pub async fn environment(&self, words: &[String]) -> Result<(Service, Name), Failure> {
        let (service, environment) = match words {
            [environment] => (None, environment),
            [service, environment, ..] => (Some(service.as_str()), environment),
            [] => return Err(Failure::usage("no environment was named")),
        };
        let environment = Name::new(environment).map_err(|e| Failure::usage(e.to_string()))?;
        Ok((self.service(service).await?, environment))
    }
}

/// The service called `name`, or the only one.
pub fn pick(services: Vec<Service>, name: Option<&str>) -> Result<Service, Failure> {
    let known: Vec<_> = services.iter().map(|service| service.name.to_string()).collect();
    let known = known.join(", ");
    match name {
        None if services.len() > 1 => {
            Err(Failure::usage(format!("there are several services: {known}"))
                .hint("name the one you mean"))
        }
        None => services
            .into_iter()
            .next()
            .ok_or_else(|| Failure::unexpected("this Cyan has no service")),
        Some(name) => services.into_iter().find(|service| service.name == *name).ok_or_else(|| {
            Failure::usage(format!("unknown service `{name}`; configured: {known}"))
        }),
    }
}

/// A secret from a file or standard input, without the newline at its end. `what` names it in errors.
pub fn secret(path: &Path, what: &str) -> Result<Secret, Failure> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| {
        Failure::usage(format!("cannot read the {what} from {}: {error}", path.display()))
    })?;
    match text.trim() {
        "" => Err(Failure::usage(format!("{} holds no {what}", path.display()))),
        text => Ok(Secret::new(text)),
    }
}

/// Who we are, for the journal.
pub fn actor() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| user_id());
    let plain: String = user.chars().filter(char::is_ascii_graphic).take(60).collect();
    format!("cli:{plain}")
}

/// Where nobody is logged in, as in a container: the user's number.
fn user_id() -> String {
    use std::os::unix::fs::MetadataExt;
    let process = std::fs::metadata("/proc/self");
    process.map_or_else(|_| "unknown".to_owned(), |process| format!("uid-{}", process.uid()))
}
