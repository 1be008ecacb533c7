//! A `POST` to a web address of the operator, for hooks.
//!
//! The name is looked up for each attempt; the whole attempt has one limit on time, and of the answer
//! only the beginning is read. Redirects are not followed: what is signed for one address is not for
//! another.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;

use super::call::Caller;
use crate::model::environment::{Protocol, UpstreamTls};
use crate::model::hook::WebAddress;
use crate::model::upstream::UpstreamAddress;

/// A request to be sent, as often as it takes.
pub(super) struct Post<'a> {
    address: &'a WebAddress,
    body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) status: StatusCode,
    /// The first bytes.
    pub(super) body: Vec<u8>,
}

impl<'a> Post<'a> {
    /// A body of JSON for this address.
    pub(super) fn new(address: &'a WebAddress, json: Vec<u8>) -> Self {
        let headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::USER_AGENT, HeaderValue::from_static("cyan-hook")),
        ];
        Self { address, body: json.into(), headers }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value);
        let value = value.expect("what hooks add is made of digits, letters, `-` and `=`");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// Sends it once. Errors are words for people, without the address's path.
    pub(super) async fn send(&self, timeout: Duration) -> Result<Posted, String> {
        let sent = tokio::time::timeout(timeout, self.exchange()).await;
        sent.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
    }

    async fn exchange(&self) -> Result<Posted, String> {
        let caller = Caller::new(Protocol::Http1, &UpstreamTls::default());
        let upstream = &self.address.upstream;
        let addresses = look_up(&upstream.address).await?;
        let request = self.request(&caller)?;
        let answer = caller.call(upstream, &addresses, request).await?;
        Ok(Posted { status: answer.response.status(), body: answer.beginning().await })
    }

    fn request(&self, caller: &Caller) -> Result<Request<Full<Bytes>>, String> {
        let upstream = &self.address.upstream;
        let request = caller.request(upstream, &upstream.authority(), &self.address.path);
        // The path may be a credential, so that the words of the error are not passed on.
        let mut request = request.map_err(|_| "its path cannot be sent".to_owned())?;
        *request.method_mut() = Method::POST;
        *request.body_mut() = Full::new(self.body.clone());
        request.headers_mut().extend(self.headers.iter().cloned());
        Ok(request)
    }
}

async fn look_up(address: &UpstreamAddress) -> Result<Vec<SocketAddr>, String> {
    let UpstreamAddress::Tcp { host, port } = address else { return Ok(Vec::new()) };
    let found = tokio::net::lookup_host((&**host, *port)).await;
    Ok(found.map_err(|error| format!("`{host}` is not found: {error}"))?.collect())
}
