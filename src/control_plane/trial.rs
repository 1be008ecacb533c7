//! One request to one upstream as users' requests go there, and all that was seen of its answer.
//!
//! For smoke tests and warm-up: what happens to it is for a report, and counts nowhere else.

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
use crate::model::environment::{EnvironmentSpec, Secret};
use crate::model::header_id::HeaderId;
use crate::model::media_type::{self, MediaType};
use crate::model::service::HeaderNames;
use crate::model::upstream::Upstream;

/// Most bytes of an answer that is kept. A check that brings more asks for too much.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Most bytes that are kept of an answer that is thrown away, to say what it was.
const BEGINNING_BYTES_MAX: usize = 4096;

/// The way to the upstreams of one environment.
pub(super) struct Line {
    environment: Arc<EnvironmentSpec>,
    names: HeaderNames,
    caller: Caller,
}

/// What is sent.
pub(super) struct Trial<'t> {
    /// `smoke`; what names it towards the upstream.
    pub(super) label: &'static str,
    pub(super) method: &'t str,
    /// Path and query, without the environment's prefix.
    pub(super) path: &'t str,
    /// Its own; those of the environment win, as they do for users.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// For the whole exchange.
    pub(super) timeout: Duration,
    /// Whether the answer's body is wanted: then it has a limit. Else it is read and thrown away.
    pub(super) keeps_body: bool,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// In words.
    #[error("{0}")]
    Broken(String),
}

/// Why an answer is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broke {
    #[error("not whole within {0:?}")]
    Late(Duration),
    #[error("the answer broke off: {0}")]
    Off(String),
    #[error("the answer is longer than 4 MiB")]
    TooLong,
}

/// Headers of a request that nobody but Cyan has made; a body is JSON unless `own` says otherwise.
pub(super) fn trial_headers(
    agent: &'static str,
    has_body: bool,
    own: &[(HeaderId, Secret)],
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    if has_body {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    set_headers(&mut headers, own)?;
    Ok(headers)
}

/// What was seen of an answer.
pub(super) struct Seen {
    /// What was asked for.
    pub(super) api: Api,
    pub(super) status: StatusCode,
    /// It is a page for people that was not asked for.
    pub(super) is_page: bool,
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
    pub(super) broke: Option<Broke>,
}

impl Line {
    pub(super) fn new(environment: &Arc<EnvironmentSpec>, names: &HeaderNames) -> Self {
        let caller = Caller::of(environment);
        Self { environment: Arc::clone(environment), names: names.clone(), caller }
    }

    /// Sends the request and reads the answer to its end, within the request's time. `at_first` is told
    /// when the first content of a stream has come, and after how long. Cancel safe: the connection ends
    /// with it.
    pub(super) async fn exchange(
        &self,
        upstream: &Upstream,
        trial: Trial<'_>,
        at_first: impl FnMut(Duration),
    ) -> Result<Seen, Unanswered> {
        let (began, limit) = (Instant::now(), trial.timeout);
        let deadline = began + limit;
        let mut reading = Reading::new(&trial, began, at_first);
        let asked = async {
            let addresses = addresses(upstream).await;
            let sent = self.request(upstream, trial)?;
            self.caller.call(&upstream.spec, &addresses, sent).await
        };
        let answer = timeout_at(deadline.into(), asked).await;
        let mut answer =
            answer.map_err(|_| Unanswered::Late(limit))?.map_err(Unanswered::Broken)?;
        let (status, headers) =
            (answer.response.status(), std::mem::take(answer.response.headers_mut()));
        reading.begin(status, &headers);
        let read = timeout_at(deadline.into(), reading.read(answer.response.body_mut())).await;
        let broke = match read {
            Ok(Ok(())) => None,
            Ok(Err(broke)) => Some(broke),
            Err(_) => Some(Broke::Late(limit)),
        };
        Ok(reading.seen(status, headers, broke))
    }

    fn request(
        &self,
        upstream: &Upstream,
        trial: Trial<'_>,
    ) -> Result<Request<Full<Bytes>>, String> {
        let environment = &self.environment;
        let path = match &environment.path_prefix {
            Some(prefix) => format!("{prefix}{}", trial.path),
            None => trial.path.to_owned(),
        };
        let authority = authority(environment, &upstream.spec);
        let mut request = self.caller.request(&upstream.spec, &authority, &path)?;
        let method = Method::from_bytes(trial.method.as_bytes());
        *request.method_mut() = method.map_err(|_| format!("`{}` is no method", trial.method))?;
        self.set_headers(request.headers_mut(), trial.headers, trial.label)?;
        if let Some(body) = trial.body {
            *request.body_mut() = Full::new(self.body(body, request.headers()));
        }
        Ok(request)
    }

    /// The trial's own headers, then those of the environment, which win as they do for users.
    fn set_headers(
        &self,
        headers: &mut HeaderMap,
        own: HeaderMap,
        label: &str,
    ) -> Result<(), String> {
        headers.extend(own);
        for removed in &self.environment.remove_headers {
            headers.remove(removed.name());
        }
        let identity = HeaderValue::from_static("identity");
        headers.insert(header::ACCEPT_ENCODING, identity);
        let deployment = HeaderValue::from_str(self.environment.name.as_str())
            .expect("names are of small letters, digits, `-` and `_`");
        headers.insert(HeaderName::from_static(self.names.deployment.name()), deployment);
        let id = format!("{label}-{:016x}", fastrand::u64(..));
        let id = HeaderValue::from_str(&id).expect("letters and digits are a header value");
        headers.insert(HeaderName::from_static(self.names.request_id.name()), id);
        set_headers(headers, &self.environment.set_headers)
    }

    /// The body with the environment's own name of the model, where users' requests get it.
    fn body(&self, body: Bytes, headers: &HeaderMap) -> Bytes {
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        let names = &self.environment.models;
        let may_be_json =
            media_type::may_be_json(value(header::CONTENT_TYPE), value(header::CONTENT_ENCODING));
        if names.is_empty() || !may_be_json {
            return body;
        }
        let (mut edit, mut parts) = (ModelEdit::new(Arc::clone(names)), Vec::new());
        edit.push(&body, &mut parts);
        edit.finish(&mut parts);
        parts.iter().flat_map(|part| part.of(&body)).copied().collect()
    }
}

/// An answer as far as it has come.
struct Reading<F> {
    began: Instant,
    api: Api,
    accepts_page: bool,
    is_page: bool,
    keeps_body: bool,
    at_first: F,
    scan: Option<AnswerScan>,
    body: Vec<u8>,
    first_byte: Option<Duration>,
    first_content: Option<Duration>,
    end: BodyEnd,
}

impl<F: FnMut(Duration)> Reading<F> {
    fn new(trial: &Trial<'_>, began: Instant, at_first: F) -> Self {
        let path = trial.path.split('?').next().unwrap_or_default();
        let accept = trial.headers.get(header::ACCEPT);
        Self {
            began,
            api: Api::of(trial.method, path),
            accepts_page: accept.is_some_and(|accept| media_type::names_page(accept.as_bytes())),
            is_page: false,
            keeps_body: trial.keeps_body,
            at_first,
            scan: None,
            body: Vec::new(),
            first_byte: None,
            first_content: None,
            end: BodyEnd::Cut,
        }
    }

    /// The head of the answer is there.
    fn begin(&mut self, status: StatusCode, headers: &HeaderMap) {
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        let is_page = value(header::CONTENT_TYPE).is_some_and(|kind| MediaType::of(kind).is_page());
        self.is_page = is_page && !self.accepts_page;
        let head = AnswerHead {
            content_type: value(header::CONTENT_TYPE),
            content_encoding: value(header::CONTENT_ENCODING),
            api: self.api,
        };
        self.scan = status.is_success().then(|| AnswerScan::of(&head).ok()).flatten();
    }

    async fn read(&mut self, body: &mut Incoming) -> Result<(), Broke> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Broke::Off(error.to_string()))?;
            let Ok(piece) = frame.into_data() else { continue };
            self.keep(&piece)?;
            self.take(&piece);
        }
        self.end = BodyEnd::Whole;
        Ok(())
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), Broke> {
        if self.keeps_body && self.body.len() + piece.len() > BODY_BYTES_MAX {
            return Err(Broke::TooLong);
        }
        let room = if self.keeps_body { BODY_BYTES_MAX } else { BEGINNING_BYTES_MAX };
        let room = room.saturating_sub(self.body.len()).min(piece.len());
        self.body.extend_from_slice(&piece[..room]);
        Ok(())
    }

    fn take(&mut self, piece: &[u8]) {
        let now = self.began.elapsed();
        if !piece.is_empty() {
            self.first_byte.get_or_insert(now);
        }
        let Some(scan) = &mut self.scan else { return };
        let has_content = scan.push(piece).content_events > 0;
        if has_content && self.first_content.is_none() {
            self.first_content = Some(now);
            if scan.is_stream() {
                (self.at_first)(now);
            }
        }
    }

    fn seen(mut self, status: StatusCode, headers: HeaderMap, broke: Option<Broke>) -> Seen {
        let is_stream = self.scan.as_ref().is_some_and(AnswerScan::is_stream);
        Seen {
            api: self.api,
            status,
            is_page: self.is_page,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::model_names::{ModelNames, OwnName};
    use crate::model::name::Name;

    /// Copies of requests that only `application/json` were edited asked a candidate for a model it does not
    /// know: its refusals were users' mistakes, and the warm-up never ended.
    #[test]
    fn copies_get_the_name_of_the_model_where_users_requests_do() {
        let mut environment = EnvironmentSpec::new(Name::new("green").unwrap(), Vec::new());
        let own = OwnName::new("own").unwrap();
        environment.models = Arc::new(ModelNames { otherwise: Some(own), list: Vec::new() });
        let line = Line::new(&Arc::new(environment), &HeaderNames::default());
        let sent = |own: &[(HeaderName, &'static str)]| {
            let value = |value| HeaderValue::from_static(value);
            let headers = own.iter().map(|(name, text)| (name.clone(), value(text))).collect();
            line.body(Bytes::from_static(b"{\"model\":\"m\"}"), &headers)
        };
        let (kind, coding) = (header::CONTENT_TYPE, header::CONTENT_ENCODING);
        for (headers, expected) in [
            (vec![(kind.clone(), "application/json")], "own"),
            (vec![(kind.clone(), "application/x-www-form-urlencoded")], "own"),
            (vec![(kind.clone(), "text/plain")], "own"),
            (vec![], "own"),
            (vec![(kind.clone(), "audio/wav")], "m"),
            (vec![(kind, "application/json"), (coding, "gzip")], "m"),
        ] {
            let expected = format!("{{\"model\":\"{expected}\"}}");
            assert_eq!(sent(&headers), expected.as_bytes(), "{headers:?}");
        }
    }
}
