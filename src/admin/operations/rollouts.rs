//! Calls about rollouts: started, watched, told what to do, and looked at when they are over.

use super::super::api::rollout::{ActOnRollout, Rollout, StartRollout};
use super::super::api::rollouts::Rollouts;
use super::super::operation::{Header, Operation};
use super::super::preview::DryRun;
use super::super::problem::ProblemKind;
use super::super::{rollout, rollout_start, rollouts};
use super::{DRY, WhatWouldBe, get, post};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get(
            "/v1/services/{service}/rollout",
            rollout::show,
            "getRollout",
            "The last rollout of a service: where it stands and what it waits for",
        )
        .answers::<Rollout>("The last rollout, over or not."),
        post(
            "/v1/services/{service}/rollout",
            rollout_start::start,
            "startRollout",
            "Release an environment by steps, watched, and back by itself if it is worse",
        )
        .more(DRY)
        .query::<DryRun>()
        .header(Header::IfMatch)
        .body::<StartRollout>()
        .changes_or::<WhatWouldBe>(),
        post(
            "/v1/services/{service}/rollout/{action}",
            rollout::act,
            "actOnRollout",
            "Pause, resume, mute, promote, roll back or release the rollout",
        )
        .more(DRY)
        .query::<DryRun>()
        .header(Header::IfMatch)
        .body::<ActOnRollout>()
        .changes_or::<WhatWouldBe>(),
        get(
            "/v1/services/{service}/rollouts",
            rollouts::list,
            "listRollouts",
            "The rollouts that are kept, newest first",
        )
        .query::<rollouts::Which>()
        .answers::<Rollouts>("A page; `next_before` is the `before` of the next one.")
        .problems(&[ProblemKind::StoreUnavailable]),
        get(
            "/v1/services/{service}/rollouts/{rollout}/records",
            rollouts::records,
            "getRecords",
            "The records of a rollout, as `cyan replay` reads them",
        )
        .more("One JSON object per line; docs/reference/replay.md describes them. It breaks off if a page cannot be read, so that nobody takes a part for the whole.")
        .long()
        .answers_text("Every record, in its order.", "application/x-ndjson")
        .problems(&[ProblemKind::StoreUnavailable]),
    ]
}
