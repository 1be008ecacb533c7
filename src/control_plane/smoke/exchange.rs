//! One request to one upstream as users' requests go there, and all that was seen of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::timeout_at;

use crate::control_plane::call::{Caller, addresses, authority, set_headers};
use crate::inspect::answer::{AnswerHead, AnswerScan, Conclusion};
use crate::inspect::model_edit::ModelEdit;
use crate::model::api::Api;
use crate::model::body_end::BodyEnd;
use crate::model::environment::EnvironmentSpec;
use crate::model::media_type::MediaType;
use crate::model::plan::smoke::SmokeRequest;
use crate::model::service::HeaderNames;
use crate::model::upstream::Upstream;

/// Most bytes of an answer. A check that brings more asks for too much.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The way to the upstreams of one environment.
pub(super) struct Line {
    environment: Arc<EnvironmentSpec>,
    names: HeaderNames,
    caller: Caller,
}

/// What was seen of an answer.
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// From before the connection to the first content of a stream, or the first byte of another body.
    pub(super) first: Option<Duration>,
    /// From before the connection to the end.
    pub(super) total: Duration,
    /// Whether events came one after the other.
    pub(super) is_stream: bool,
    /// What its words came to; `None` where there are none to be read, or the status is not 2xx.
    pub(super) words: Option<Conclusion>,
    /// Why it is not whole.
    pub(super) broke: Option<String>,
}

impl Line {
    pub(super) fn new(environment: &Arc<EnvironmentSpec>, names: &HeaderNames) -> Self {
        let caller = Caller::of(environment);
        Self { environment: Arc::clone(environment), names: names.clone(), caller }
    }

    /// Sends the request and reads the answer to its end, within the request's time.
    pub(super) async fn exchange(
        &self,
        upstream: &Upstream,
        request: &SmokeRequest,
    ) -> Result<Seen, String> {
        let began = Instant::now();
        let deadline = began + request.timeout;
        let asked = async {
            let addresses = addresses(upstream).await;
            let sent = self.request(upstream, request)?;
            self.caller.call(&upstream.spec, &addresses, sent).await
        };
        let late = || format!("no answer within {:?}", request.timeout);
        let mut answer = timeout_at(deadline.into(), asked).await.map_err(|_| late())??;
        let (status, headers) =
            (answer.response.status(), std::mem::take(answer.response.headers_mut()));
        let mut reading = Reading::new(request, status, &headers, began);
        let read = timeout_at(deadline.into(), reading.read(answer.response.body_mut())).await;
        let broke = match read {
            Ok(Ok(())) => None,
            Ok(Err(problem)) => Some(problem),
            Err(_) => Some(format!("not whole within {:?}", request.timeout)),
        };
        Ok(reading.seen(status, headers, broke))
    }

    fn request(
        &self,
        upstream: &Upstream,
        asked: &SmokeRequest,
    ) -> Result<Request<Full<Bytes>>, String> {
        let environment = &self.environment;
        let path = match &environment.path_prefix {
            Some(prefix) => format!("{prefix}{}", asked.path),
            None => asked.path.to_string(),
        };
        let authority = authority(environment, &upstream.spec);
        let mut request = self.caller.request(&upstream.spec, &authority, &path)?;
        let method = Method::from_bytes(asked.method.as_bytes());
        *request.method_mut() = method.map_err(|_| format!("`{}` is no method", asked.method))?;
        self.set_headers(request.headers_mut(), asked)?;
        if let Some(body) = &asked.body {
            *request.body_mut() = Full::new(self.body(body, request.headers()));
        }
        Ok(request)
    }

    /// The check's own headers, then those of the environment, which win as they do for users.
    fn set_headers(&self, headers: &mut HeaderMap, asked: &SmokeRequest) -> Result<(), String> {
        headers.insert(header::USER_AGENT, HeaderValue::from_static("cyan-smoke"));
        if asked.body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        set_headers(headers, &asked.headers)?;
        for removed in &self.environment.remove_headers {
            headers.remove(removed.name());
        }
        let identity = HeaderValue::from_static("identity");
        headers.insert(header::ACCEPT_ENCODING, identity);
        let deployment = HeaderValue::from_str(self.environment.name.as_str())
            .expect("names are of small letters, digits, `-` and `_`");
        headers.insert(HeaderName::from_static(self.names.deployment.name()), deployment);
        let id = format!("smoke-{:016x}", fastrand::u64(..));
        let id = HeaderValue::from_str(&id).expect("letters and digits are a header value");
        headers.insert(HeaderName::from_static(self.names.request_id.name()), id);
        set_headers(headers, &self.environment.set_headers)
    }

    /// The body with the environment's own name of the model, where it is JSON.
    fn body(&self, body: &str, headers: &HeaderMap) -> Bytes {
        let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
        let names = &self.environment.models;
        if names.is_empty() || !MediaType::of(content_type).is_json() {
            return Bytes::copy_from_slice(body.as_bytes());
        }
        let (mut edit, mut parts) = (ModelEdit::new(Arc::clone(names)), Vec::new());
        edit.push(body.as_bytes(), &mut parts);
        edit.finish(&mut parts);
        parts.iter().flat_map(|part| part.of(body.as_bytes())).copied().collect()
    }
}

/// A body as far as it has come.
struct Reading {
    began: Instant,
    scan: Option<AnswerScan>,
    body: Vec<u8>,
    first_byte: Option<Duration>,
    first_content: Option<Duration>,
    end: BodyEnd,
}

impl Reading {
    fn new(
        request: &SmokeRequest,
        status: StatusCode,
        headers: &HeaderMap,
        began: Instant,
    ) -> Self {
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        let head = AnswerHead {
            content_type: value(header::CONTENT_TYPE),
            content_encoding: value(header::CONTENT_ENCODING),
            api: Api::of(&request.method, request.path.split('?').next().unwrap_or_default()),
        };
        let scan = status.is_success().then(|| AnswerScan::of(&head).ok()).flatten();
        let (first_byte, first_content) = (None, None);
        Self { began, scan, body: Vec::new(), first_byte, first_content, end: BodyEnd::Cut }
    }

    async fn read(&mut self, body: &mut Incoming) -> Result<(), String> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
            let Ok(piece) = frame.into_data() else { continue };
            if self.body.len() + piece.len() > BODY_BYTES_MAX {
                return Err("the answer is longer than 4 MiB".to_owned());
            }
            self.take(&piece);
        }
        self.end = BodyEnd::Whole;
        Ok(())
    }

    fn take(&mut self, piece: &[u8]) {
        let now = self.began.elapsed();
        self.body.extend_from_slice(piece);
        if !piece.is_empty() {
            self.first_byte.get_or_insert(now);
        }
        if self.scan.as_mut().is_some_and(|scan| scan.push(piece).content_events > 0) {
            self.first_content.get_or_insert(now);
        }
    }

    fn seen(mut self, status: StatusCode, headers: HeaderMap, broke: Option<String>) -> Seen {
        let is_stream = self.scan.as_ref().is_some_and(AnswerScan::is_stream);
        Seen {
            status,
            headers,
            body: self.body,
            first: if is_stream { self.first_content } else { self.first_byte },
            total: self.began.elapsed(),
            is_stream,
            words: self.scan.as_mut().map(|scan| scan.conclude(self.end)),
            broke,
        }
    }
}
