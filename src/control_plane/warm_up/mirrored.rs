//! A copy of a user's request on its way to the candidate.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::synthetic::Errand;
use crate::model::environment::{EnvironmentSpec, HostPolicy, Protocol};
use crate::model::header_id::HeaderId;
use crate::model::in_flight::InFlightGuard;
use crate::model::mirror::tap::{MirrorTap, Mirrored};
use crate::rollout::warm_up::Source;

/// What a copy holds until its answer has ended.
#[derive(Debug)]
pub(super) struct Held {
    tap: Arc<MirrorTap>,
    _place: InFlightGuard,
}

impl Held {
    /// Books what it has cost.
    pub(super) fn spend_tokens(&self, tokens: u64) {
        self.tap.spend_tokens(tokens, std::time::Instant::now());
    }
}

/// The copy as it is sent: with a mark, and with the user's `Host` only where the environment keeps it.
pub(super) fn errand(
    copy: Mirrored,
    tap: &Arc<MirrorTap>,
    environment: &EnvironmentSpec,
) -> Errand {
    let Mirrored { request, place } = copy;
    let keeps_host =
        environment.host == HostPolicy::Preserve && environment.protocol == Protocol::Http1;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let read = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
        // What the data plane has read as a header is one here as well.
        let (Ok(name), Ok(value)) = read else { continue };
        if name != header::HOST || keeps_host {
            headers.append(name, value);
        }
    }
    let mark = HeaderName::from_static(HeaderId::X_CYAN_MIRROR.name());
    headers.insert(mark, HeaderValue::from_static("1"));
    Errand {
        source: Source::Mirror,
        method: request.method,
        path: request.path_and_query,
        headers,
        body: Bytes::from(request.body),
        held: Some(Held { tap: Arc::clone(tap), _place: place }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::in_flight::InFlight;
    use crate::model::mirror::MirrorRule;
    use crate::model::mirror::tap::MirroredRequest;
    use crate::model::name::Name;

    fn copy() -> Mirrored {
        let headers = [("host", "api.test"), ("x-own", "1"), ("x-own", "2")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let request = MirroredRequest {
            method: "POST".to_owned(),
            path_and_query: "/v1/x?y".to_owned(),
            headers: headers.to_vec(),
            body: b"{}".to_vec(),
            arrived: Instant::now(),
        };
        let in_flight = Arc::new(InFlight::default());
        Mirrored { request, place: in_flight.try_enter(1).unwrap() }
    }

    #[test]
    fn a_copy_is_marked_and_has_the_users_host_only_where_it_is_kept() {
        let (sink, _copies) = crate::link::mirror::queue(1);
        let tap = MirrorTap::new(MirrorRule::default(), Arc::default(), sink, Instant::now());
        for (host, expected) in
            [(HostPolicy::Preserve, Some("api.test")), (HostPolicy::Upstream, None)]
        {
            let environment = EnvironmentSpec {
                host,
                ..EnvironmentSpec::new(Name::new("green").unwrap(), vec![])
            };
            let errand = errand(copy(), &tap, &environment);
            let header = |name| errand.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((header("host"), header("x-cyan-mirror")), (expected, Some("1")));
            assert_eq!(errand.headers.get_all("x-own").iter().count(), 2);
            assert_eq!((errand.path.as_str(), &errand.body[..]), ("/v1/x?y", &b"{}"[..]));
        }
    }
}
