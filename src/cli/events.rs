//! `cyan events`: follows what happens, a line per event.

use http_body_util::BodyExt;

use super::failure::Failure;
use super::session::Session;
use crate::admin::api::Event;

/// Most bytes of one event. The server's are a few hundred.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// `cyan events [--since SEQ]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Begin after this number, as far as the events are still known
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
}

/// Runs the verb. Ends when Cyan does.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let path = match args.since {
        Some(seq) => format!("/v1/events?since={seq}"),
        None => "/v1/events".to_owned(),
    };
    let mut body = session.client.open(&path).await?;
    let mut reader = Reader::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Failure::unexpected(format!(
                "the events of {} broke off: {error}",
                session.client.address
            ))
        })?;
        if let Ok(bytes) = frame.into_data() {
            reader.feed(&bytes, |data| show(session, data))?;
        }
    }
    eprintln!("the events ended: Cyan has gone");
    Ok(())
}

fn show(session: &Session, data: &str) -> Result<(), Failure> {
    if session.globals.json {
        return session.terminal.line(data);
    }
    let event: Event = serde_json::from_str(data)
        .map_err(|error| Failure::unexpected(format!("cannot read the event {data}: {error}")))?;
    let service = event.service.map(|service| format!("{service}: ")).unwrap_or_default();
    session.terminal.line(&format!("{}  {service}{}", event.at, event.text))
}

/// Puts the `data:` lines of a stream together. Comments, ids and names are passed over.
#[derive(Debug, Default)]
struct Reader {
    rest: Vec<u8>,
}

impl Reader {
    fn feed(
        &mut self,
        bytes: &[u8],
        mut event: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.rest) {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            if let Some(data) = line.strip_prefix("data:") {
                event(data.trim())?;
            }
        }
        if self.rest.len() > EVENT_BYTES_MAX {
            return Err(Failure::unexpected("an event is longer than 1 MiB"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_whatever_the_chunks() {
        let stream =
            b": here we go\n\nid: 7\nevent: switched\ndata: {\"seq\":7}\n\ndata:{\"seq\":8}\n\n";
        for size in [1, 3, 7, stream.len()] {
            let mut found = Vec::new();
            let mut reader = Reader::default();
            for chunk in stream.chunks(size) {
                let keep = |data: &str| {
                    found.push(data.to_owned());
                    Ok(())
                };
                reader.feed(chunk, keep).unwrap();
            }
            assert_eq!(found, ["{\"seq\":7}", "{\"seq\":8}"], "in chunks of {size}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let mut reader = Reader::default();
        let failure = reader.feed(&vec![b'x'; EVENT_BYTES_MAX + 1], |_| Ok(())).unwrap_err();
        assert_eq!(failure.message, "an event is longer than 1 MiB");
    }
}
