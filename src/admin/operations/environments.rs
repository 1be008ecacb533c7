//! Calls about one environment: made, changed, tested, drained, removed.

use super::super::api::evaluate::Evaluated;
use super::super::api::{
    Because, Environment, PutEnvironment, Ready, ResetField, SmokeReport, StartDrain,
};
use super::super::drain::{self, Wait};
use super::super::operation::{Header, Operation};
use super::super::problem::ProblemKind;
use super::super::{environments, evaluate, smoke};
use super::{delete, get, post, put};

const ONE: &str = "/v1/services/{service}/environments/{environment}";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get(ONE, environments::show, "getEnvironment", "One environment with its live counts")
            .answers::<Environment>("The environment."),
        put(
            ONE,
            environments::put,
            "putEnvironment",
            "Make an environment, or change its upstreams, version or model",
        )
        .more("A field left out stays as it is. A new environment needs upstreams, and gets no traffic.")
        .header(Header::IfMatch)
        .body::<PutEnvironment>()
        .changes(),
        delete(ONE, environments::remove, "removeEnvironment", "Remove an environment")
            .more("Refused while it has traffic, something in flight, or a part in a rollout.")
            .header(Header::IfMatch)
            .body::<Because>()
            .changes(),
        post(
            "/v1/services/{service}/environments/{environment}/reset",
            environments::reset,
            "resetField",
            "Give a field that the API changed back to the config file",
        )
        .header(Header::IfMatch)
        .needs::<ResetField>()
        .changes(),
        get(
            "/v1/services/{service}/environments/{environment}/ready",
            environments::ready,
            "isReady",
            "Whether an environment could take users now: its upstreams are asked",
        )
        .answers::<Ready>("What its upstreams said."),
        post(
            "/v1/services/{service}/environments/{environment}/drain",
            drain::start,
            "drain",
            "Wait until an environment without traffic has finished what it is working on",
        )
        .more("What has not finished at the deadline is ended. With `wait=false`, or `Prefer: respond-async`, the answer comes at once.")
        .long()
        .unconditional()
        .query::<Wait>()
        .header(Header::Actor)
        .header(Header::IdempotencyKey)
        .header(Header::Prefer)
        .body::<StartDrain>()
        .answers::<Environment>("It is drained; `drain` says how that ended.")
        .or::<Environment>(202, "It is draining; `drain` says how far it is.")
        .problems(&[ProblemKind::Conflict, ProblemKind::ShuttingDown]),
        post(
            "/v1/services/{service}/environments/{environment}/smoke",
            smoke::run,
            "smoke",
            "Run the smoke tests of an environment, now, against each of its upstreams",
        )
        .more("A test that fails is no error of the call: the report says so.")
        .long()
        .header(Header::Actor)
        .body::<Because>()
        .answers::<SmokeReport>("What came of each check on each upstream.")
        .problems(&[ProblemKind::Conflict, ProblemKind::ShuttingDown]),
        post(
            "/v1/services/{service}/environments/{environment}/evaluate",
            evaluate::run,
            "evaluate",
            "Run the quality gate of an environment, now",
        )
        .more("It goes on when the caller leaves. A gate that is not passed is no error of the call: the report says so.")
        .long()
        .header(Header::Actor)
        .body::<Because>()
        .answers::<Evaluated>("How the gate ended.")
        .problems(&[ProblemKind::Conflict, ProblemKind::ShuttingDown]),
    ]
}
