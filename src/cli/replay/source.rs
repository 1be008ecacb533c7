//! Where records come from: a file, a Cyan that runs, or the state of one that does not.
//!
//! Whatever it is, it is read piece by piece: a rollout of days takes the memory of one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::app::kept::{FILE_NAME, StateFile, StoreError, replayable};
use crate::cli::failure::Failure;
use crate::cli::session::{Globals, Session};
use crate::model::name::Name;

/// How long Cyan may take for the next piece.
const PIECE_LIMIT: Duration = Duration::from_secs(15);
const LIST_HINT: &str = "`cyan rollout list` shows the rollouts that are kept";

/// What is judged again.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["file", "rollout"])))]
pub struct Source {
    /// The record, one JSON object per line; `-` for standard input
    file: Option<PathBuf>,
    /// A rollout that Cyan remembers, by its number; `cyan rollout list` shows them
    #[arg(long, value_name = "ID")]
    rollout: Option<u64>,
    /// The service of the rollout, unless there is only one
    #[arg(long, value_name = "NAME", value_parser = Name::new, requires = "rollout")]
    service: Option<Name>,
    /// Read the rollout from this `state_dir`; no Cyan has to run
    #[arg(long, value_name = "DIR", requires = "rollout")]
    state_dir: Option<PathBuf>,
}

/// Records, and what they are called in errors.
pub struct Opened {
    /// The file's name, or `rollout 3 of chat`.
    pub name: String,
    /// The records' text.
    pub reader: Box<dyn BufRead>,
}

impl Source {
    /// Whether Cyan kept the records. It writes a second `start` where its judge had to begin anew.
    pub fn is_kept(&self) -> bool {
        self.rollout.is_some()
    }

    /// Opens it.
    pub fn open(&self, globals: &Globals) -> Result<Opened, Failure> {
        match (self.rollout, &self.file, &self.state_dir) {
            (Some(id), _, Some(state_dir)) => self.stored(id, state_dir),
            (Some(id), _, None) => self.asked(id, globals.clone()),
            (None, Some(file), _) => from_file(file),
            (None, None, _) => Err(Failure::usage("name a record, or a rollout with --rollout")),
        }
    }

    /// From a Cyan that runs.
    fn asked(&self, id: u64, globals: Globals) -> Result<Opened, Failure> {
        let session = Session::open(globals)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| Failure::unexpected(format!("cannot start an event loop: {error}")))?;
        let (service, body) = runtime.block_on(async {
            let service = session.service(self.service.as_ref().map(Name::as_str)).await?.name;
            let path = format!("/v1/services/{service}/rollouts/{id}/records");
            Ok::<_, Failure>((service, session.client.open(&path).await?))
        })?;
        let mut answer = Answer { runtime, body };
        let reader = Box::new(BufReader::new(Pieces::new(move || answer.next())));
        Ok(Opened { name: title(id, &service), reader })
    }

    /// From a state file.
    fn stored(&self, id: u64, state_dir: &Path) -> Result<Opened, Failure> {
        let unreadable = |error: StoreError| Failure::usage(error.to_string());
        let file = StateFile::open(&state_dir.join(FILE_NAME)).map_err(|error| {
            unreadable(error).hint("name the `state_dir` of a Cyan, as in its config")
        })?;
        let service = match &self.service {
            Some(service) => service.clone(),
            None => only(&file.services().map_err(unreadable)?)?,
        };
        let rollout = file.rollout(&service, id).map_err(unreadable)?;
        replayable(rollout.as_ref(), &service, id)
            .map_err(|problem| Failure::usage(problem).hint(LIST_HINT))?;
        let name = title(id, &service);
        let mut after = Some(0);
        let next = move || {
            let Some(place) = after else { return Ok(None) };
            let page = file.records(&service, id, place).map_err(io::Error::other)?;
            after = page.next_after;
            Ok(Some(Bytes::from(page.text())))
        };
        Ok(Opened { name, reader: Box::new(BufReader::new(Pieces::new(next))) })
    }
}

fn from_file(file: &Path) -> Result<Opened, Failure> {
    if file.as_os_str() == "-" {
        let reader = Box::new(io::stdin().lock());
        return Ok(Opened { name: "standard input".to_owned(), reader });
    }
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|error| {
        Failure::usage(format!("cannot read {name}: {error}"))
            .hint("name a record of a rollout, or `-` for standard input")
    })?;
    Ok(Opened { name, reader: Box::new(BufReader::new(opened)) })
}

fn title(id: u64, service: &Name) -> String {
    format!("rollout {id} of {service}")
}

/// The only service that had rollouts.
fn only(services: &[String]) -> Result<Name, Failure> {
    let named = match services {
        [only] => Name::new(only).map_err(|error| error.to_string()),
        [] => Err("no rollout is remembered here".to_owned()),
        several => Err(format!("there are several services: {}", several.join(", "))),
    };
    named.map_err(|problem| Failure::usage(problem).hint("name the one you mean with --service"))
}

/// An answer of Cyan that goes on.
struct Answer {
    runtime: Runtime,
    body: Incoming,
}

impl Answer {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Self { runtime, body } = self;
        loop {
            // Made within the event loop, which has the clock.
            let frame = runtime.block_on(async { timeout(PIECE_LIMIT, body.frame()).await });
            let late = || io::Error::new(io::ErrorKind::TimedOut, "Cyan has not sent on for 15 s");
            match frame.map_err(|_| late())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(io::Error::other(error)),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// A text that comes in pieces, one asked for after the other.
struct Pieces<F> {
    next: F,
    rest: Bytes,
}

impl<F> Pieces<F> {
    fn new(next: F) -> Self {
        Self { next, rest: Bytes::new() }
    }
}

impl<F: FnMut() -> io::Result<Option<Bytes>>> Read for Pieces<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match (self.next)()? {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let piece = self.rest.split_to(into.len().min(self.rest.len()));
        into[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_text_wherever_they_are_cut() {
        let mut left = vec!["{\"a\":1}\n{\"b", "", "\":2}\n"].into_iter();
        let mut text = String::new();
        let mut pieces =
            Pieces::new(|| Ok(left.next().map(|text| Bytes::from_static(text.as_bytes()))));
        pieces.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"b\":2}\n");
    }
}
