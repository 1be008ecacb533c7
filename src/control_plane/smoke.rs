//! Runs smoke tests: every check against every upstream of an environment.
//!
//! Cyan speaks to the upstreams as it does for users (TLS, host, path prefix, credentials, names of
//! models), so that a check that passes says something about what users will get. Bounded on every
//! side: checks at once, time of each, time of all, bytes of an answer, characters of a report.

mod asked;
mod check;
mod hook;
mod judgement;
mod probe;
pub mod report;
mod running;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::model::environment::Environment;
use crate::model::name::Name;
use crate::model::routing_table::RoutingTable;
use crate::model::service::ServiceSpec;
use check::{Check, Place};
use report::{CheckReport, SmokeReport};
pub(super) use running::Running;

/// Checks at once: more would measure each other on a server that works on few requests.
const CHECKS_MAX: usize = 8;

/// Time for all checks together. What has not ended by then has failed.
pub const TOTAL_MAX: Duration = Duration::from_secs(120);

/// What is tested.
#[derive(Debug, Clone)]
pub struct SmokeContext {
    /// The service, with its checks.
    pub service: Arc<ServiceSpec>,
    /// The environment, with its upstreams.
    pub environment: Arc<Environment>,
    /// The rollout that waits for it.
    pub rollout: Option<u64>,
}

impl SmokeContext {
    /// An environment of a service as it is routed to now; `None` when there is none of this name.
    pub fn of(table: &RoutingTable, environment: &Name, rollout: Option<u64>) -> Option<Self> {
        let environment = Arc::clone(table.environment(environment.as_str())?);
        Some(Self { service: Arc::clone(&table.service), environment, rollout })
    }
}

/// How far a run is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[schemars(rename = "SmokeEnded")]
pub struct Ended {
    /// Checks that have ended, each on one upstream.
    pub checks: usize,
    /// All there are.
    pub of: usize,
}

/// Runs every check against every upstream; takes 120 s at most. Cancel safe: connections and programs
/// end with it. `tell` hears how many checks have ended, and of how many.
pub async fn run(context: &SmokeContext, tell: impl Fn(Ended)) -> SmokeReport {
    let began = Instant::now();
    let place = Arc::new(Place::new(context));
    let checks = check::all(&context.service.smoke);
    let mut results: Vec<CheckReport> = Vec::new();
    let mut tasks = JoinSet::new();
    let permits = Arc::new(Semaphore::new(CHECKS_MAX));
    // Upstreams in turn, so that checks at once are not all on the same one.
    for check in checks {
        let check = Arc::new(check);
        for upstream in &context.environment.upstreams {
            let job = (Arc::clone(&check), Arc::clone(upstream), Arc::clone(&place));
            let index = results.len();
            results.push(check.unfinished(&upstream.spec));
            let permits = Arc::clone(&permits);
            // A task each, waiting for its turn; bounded by the numbers of checks and upstreams in a config.
            tasks.spawn(async move {
                let (check, upstream, place) = job;
                let _permit = permits.acquire().await.ok()?;
                Some((index, Check::run(&check, &upstream, &place).await))
            });
        }
    }
    let mut ended_checks = Ended { checks: 0, of: results.len() };
    tell(ended_checks);
    let deadline = (began + TOTAL_MAX).into();
    while let Ok(Some(ended)) = timeout_at(deadline, tasks.join_next()).await {
        // A panic in a check would be a bug; it then stands as unfinished.
        if let Ok(Some((index, result))) = ended {
            results[index] = result;
        }
        ended_checks.checks += 1;
        tell(ended_checks);
    }
    SmokeReport::new(context, results, began.elapsed())
}
