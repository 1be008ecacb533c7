//! The requests that probes make up: a few tokens, streamed, of each API that is named.

use crate::control_plane::generating::Asking;
use crate::model::name::Name;
use crate::model::plan::smoke::{Expectations, Probes, SmokeRequest};

/// One request per API.
pub(super) fn requests(probes: &Probes) -> impl Iterator<Item = SmokeRequest> + '_ {
    probes.apis.iter().map(|api| {
        let asking = Asking { api: *api, base: &probes.base, model: probes.model.as_deref() };
        SmokeRequest {
            name: Name::new(api.name()).expect("names of APIs are of small letters and hyphens"),
            method: "POST".into(),
            path: asking.path().into(),
            headers: asking.headers(&probes.headers),
            body: Some(asking.body(&probes.prompt, probes.tokens).to_string().into()),
            timeout: probes.timeout,
            expect: Expectations { ttft_max: probes.ttft_max, ..Expectations::default() },
        }
    })
}
