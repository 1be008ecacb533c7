//! Interim answers on their way to a client of HTTP/1.1, such as `103 Early Hints`.
//!
//! hyper tells a client's half about them and has no way to send them in its server's half, so they go
//! around it: the client's stream writes them when hyper has nothing unwritten (`client_io.rs`). A
//! `100 Continue` is hyper's own matter. Clients of HTTP/2 get none
//! (`docs/decisions/0014-no-interim-answers-over-http-2.md`).

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode};

use crate::data_plane::client_io::IoState;
use crate::data_plane::exchange::edits::{Edit, Edits};
use crate::data_plane::exchange::head::Headers;
use crate::data_plane::exchange::strip;
use crate::model::header_id::HeaderId;
use crate::model::service::HeaderNames;

/// Has the interim answers to a request passed on to its client. The task that calls is the client's, which is
/// woken for each.
pub async fn pass_on<B>(request: &mut Request<B>, client: Arc<IoState>, names: HeaderNames) {
    std::future::poll_fn(|cx| {
        client.expect_interim(cx.waker());
        std::task::Poll::Ready(())
    })
    .await;
    hyper::ext::on_informational(request, move |answer| {
        if answer.status() != StatusCode::CONTINUE {
            client.push_interim(&render(answer.status(), answer.headers(), &names));
        }
    });
}

/// The head as bytes, without what ends here.
fn render(status: StatusCode, headers: &HeaderMap, names: &HeaderNames) -> Vec<u8> {
    let mut edits = Edits::default();
    strip::response(&Plain(headers), names, &mut edits);
    let is_gone = |name: &str| {
        edits.iter().any(|edit| match edit {
            Edit::Remove(id) => id.name() == name,
            Edit::RemoveNamed(gone) => &**gone == name,
            Edit::Set(..) | Edit::Append(..) => false,
        })
    };
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in headers.iter().filter(|(name, _)| !is_gone(name.as_str())) {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Headers that are looked up by name: a callback of hyper's cannot reach the core's numbers.
struct Plain<'a>(&'a HeaderMap);

impl Headers for Plain<'_> {
    fn first(&self, id: HeaderId) -> Option<&[u8]> {
        self.0.get(id.name()).map(http::HeaderValue::as_bytes)
    }

    fn each_value<'a>(&'a self, id: HeaderId, visit: &mut dyn FnMut(&'a [u8])) {
        self.0.get_all(id.name()).iter().for_each(|value| visit(value.as_bytes()));
    }

    fn each_name(&self, visit: &mut dyn FnMut(&str)) {
        self.0.keys().for_each(|name| visit(name.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_hop_or_cyans_own_ends_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("link", "</a.css>; rel=preload"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-cyan-exchange", "made-up"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let head = render(StatusCode::from_u16(103).unwrap(), &headers, &HeaderNames::default());
        let expected = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }
}
