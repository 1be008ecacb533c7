//! Calls about a service as a whole: who gets what, and all of it to somebody else.

use super::super::api::rollout::SetFreeze;
use super::super::api::{Because, RollBack, Service, Services, SetWeights, Switch};
use super::super::operation::{Header, Operation};
use super::super::preview::DryRun;
use super::super::{freeze, services, switch, weights};
use super::{DRY, WhatWouldBe, delete, get, post, put};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/v1/services", services::list, "listServices", "Every service: who gets what")
            .answers::<Services>("Every service, in the order of the config."),
        get("/v1/services/{service}", services::show, "getService", "One service: who gets what")
            .answers::<Service>("The service. Its generation is also the entity tag."),
        put("/v1/services/{service}/weights", weights::set, "setWeights", "Set who gets what share")
            .more(DRY)
            .query::<DryRun>()
            .header(Header::IfMatch)
            .body::<SetWeights>()
            .changes_or::<WhatWouldBe>(),
        post(
            "/v1/services/{service}/switch",
            switch::switch,
            "switch",
            "Give all of the active environment's traffic to another one",
        )
        .more(DRY)
        .query::<DryRun>()
        .header(Header::IfMatch)
        .body::<Switch>()
        .changes_or::<WhatWouldBe>(),
        post(
            "/v1/services/{service}/rollback",
            switch::roll_back,
            "rollBack",
            "Back to the environment that was active before",
        )
        .more("It never waits for the disk, and asks for no generation: going back is always right. With `dry_run=true` nothing is changed, and the answer says what would be.")
        .unconditional()
        .query::<DryRun>()
        .body::<RollBack>()
        .changes_or::<WhatWouldBe>(),
        put(
            "/v1/services/{service}/freeze",
            freeze::set,
            "freeze",
            "No automatic step in this service for a while",
        )
        .more("Going back stays automatic.")
        .header(Header::IfMatch)
        .needs::<SetFreeze>()
        .changes(),
        delete(
            "/v1/services/{service}/freeze",
            freeze::lift,
            "unfreeze",
            "Automatic steps may be taken again",
        )
        .header(Header::IfMatch)
        .body::<Because>()
        .changes(),
    ]
}
