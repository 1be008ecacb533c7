//! Reads server-sent events of the admin API, as far as that API uses them: one `event:` and one `data:`
//! line each.

use std::ops::ControlFlow;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::client::Client;
use super::failure::Failure;

/// Most bytes of one event. The server's are a few hundred.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Follows the events at `path` until `show` has seen enough, or Cyan ends: then `Continue`.
pub async fn follow(
    client: &Client,
    path: &str,
    mut show: impl FnMut(&str, &str) -> Result<ControlFlow<()>, Failure>,
) -> Result<ControlFlow<()>, Failure> {
    let mut body: Incoming = client.open(path).await?;
    let mut reader = EventReader::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Failure::unexpected(format!("the events of {} broke off: {error}", client.address))
        })?;
        if let Ok(bytes) = frame.into_data()
            && reader.feed(&bytes, &mut show)?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Puts lines together from chunks. Comments and ids are passed over.
#[derive(Debug, Default)]
struct EventReader {
    rest: Vec<u8>,
    name: String,
}

impl EventReader {
    fn feed(
        &mut self,
        bytes: &[u8],
        mut event: impl FnMut(&str, &str) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<ControlFlow<()>, Failure> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.rest) {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            if let Some(name) = line.strip_prefix("event:") {
                name.trim().clone_into(&mut self.name);
            } else if let Some(data) = line.strip_prefix("data:") {
                let name = std::mem::take(&mut self.name);
                if event(&name, data.trim())?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        if self.rest.len() > EVENT_BYTES_MAX {
            return Err(Failure::unexpected("an event is longer than 1 MiB"));
        }
        Ok(ControlFlow::Continue(()))
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
            let mut reader = EventReader::default();
            for chunk in stream.chunks(size) {
                let keep = |name: &str, data: &str| {
                    found.push(format!("{name} {data}"));
                    Ok(ControlFlow::Continue(()))
                };
                assert!(reader.feed(chunk, keep).unwrap().is_continue());
            }
            assert_eq!(found, ["switched {\"seq\":7}", " {\"seq\":8}"], "in chunks of {size}");
        }
    }

    #[test]
    fn who_has_seen_enough_is_shown_no_more() {
        let mut seen = 0;
        let mut reader = EventReader::default();
        let enough = |_: &str, _: &str| {
            seen += 1;
            Ok(ControlFlow::Break(()))
        };
        assert!(reader.feed(b"data: 1\n\ndata: 2\n\n", enough).unwrap().is_break());
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let mut reader = EventReader::default();
        let ignore = |_: &str, _: &str| Ok(ControlFlow::Continue(()));
        let failure = reader.feed(&vec![b'x'; EVENT_BYTES_MAX + 1], ignore).unwrap_err();
        assert_eq!(failure.message, "an event is longer than 1 MiB");
    }
}
