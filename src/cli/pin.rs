//! `cyan pin`: makes a signed value with which a request may name its environment, e.g. for an
//! evaluation suite that must reach the candidate.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::failure::Failure;
use super::session::Globals;
use super::terminal::Terminal;
use crate::config::duration;
use crate::model::force_token;
use crate::model::name::Name;

/// `cyan pin ENVIRONMENT --secret-file FILE [--valid 1h]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The environment to name
    environment: String,
    /// File with the service's signing secret; `-` for standard input
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// How long the value is good
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    valid: Duration,
}

/// Runs the verb.
pub fn run(args: &Args, globals: &Globals) -> Result<(), Failure> {
    let environment =
        Name::new(&args.environment).map_err(|error| Failure::usage(error.to_string()))?;
    let secret = super::session::secret(&args.secret_file, "secret")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let expiry = (now + args.valid).as_secs();
    let value = force_token::sign(secret.expose(), environment.as_str(), expiry);
    let terminal = Terminal::detect(globals.ascii);
    if globals.json {
        return terminal.json(&serde_json::json!({ "value": value, "expiry_unix_s": expiry }));
    }
    terminal.line(&value)
}
