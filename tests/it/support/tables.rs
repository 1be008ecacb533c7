//! Routing tables made by hand, for what needs no running proxy.

use std::sync::Arc;
use std::time::Instant;

use cyan::model::assignment::{Assignment, Member, Partner, PartnerRole};
use cyan::model::environment::{Environment, EnvironmentId, EnvironmentSpec};
use cyan::model::name::Name;
use cyan::model::plan::Plans;
use cyan::model::routing_table::RoutingTable;
use cyan::model::salt::Salt;
use cyan::model::service::{HeaderNames, InitialSplit, ServiceSpec, StreamErrors};
use cyan::model::sticky::StickyRule;
use cyan::model::upstream::{Upstream, UpstreamId};
use cyan::model::weight::Weight;

const NAMES: [&str; 5] = ["blue", "green", "red", "gold", "grey"];

/// The name of the n-th environment.
pub fn name(index: usize) -> Name {
    Name::new(NAMES[index]).expect("a name")
}

/// Blue active, green its candidate, the others on their own; weights in hundredths of a percent.
pub fn assignment(weights: &[u16], seed: u64) -> Assignment {
    let salt = |n: u64| Salt(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(n * n + n));
    let member = |(index, weight): (usize, &u16)| Member {
        environment: name(index),
        weight: Weight::from_hundredths(*weight).expect("a weight"),
        salt: salt(index as u64),
    };
    Assignment {
        members: weights.iter().enumerate().map(member).collect(),
        active: name(0),
        partner: (weights.len() > 1)
            .then(|| Partner { environment: name(1), role: PartnerRole::Candidate }),
        fallback: None,
        slot_salt: salt(100),
        rollout_salt: salt(101),
    }
}

/// A table of environments without upstreams, numbered in their order.
pub fn table(assignment: &Assignment) -> RoutingTable {
    table_with(assignment, 1, |_, _| {})
}

/// A table in which each environment has two upstreams, and may be changed.
pub fn table_with(
    assignment: &Assignment,
    generation: u64,
    change: impl Fn(usize, &mut EnvironmentSpec),
) -> RoutingTable {
    let environment = |(index, member): (usize, &Member)| {
        let number = u32::try_from(index).expect("a handful");
        let upstream = |n: u32| format!("http://127.0.0.{}:{}", index + 1, 8000 + n);
        let specs = (0..2).map(|n| upstream(n).parse().expect("a url"));
        let mut spec = EnvironmentSpec::new(member.environment.clone(), specs.collect());
        change(index, &mut spec);
        let live = |(n, spec): (u32, &_)| {
            Arc::new(Upstream::new(UpstreamId(2 * number + n), Clone::clone(spec), Instant::now()))
        };
        let upstreams = (0..).zip(&spec.upstreams).map(live).collect();
        let spec = Arc::new(spec);
        Arc::new(Environment {
            id: EnvironmentId(number),
            spec,
            upstreams,
            in_flight: Arc::default(),
            mirror: Arc::default(),
        })
    };
    let environments: Vec<_> = assignment.members.iter().enumerate().map(environment).collect();
    let service = ServiceSpec {
        name: Name::new("chat").expect("a name"),
        hosts: Vec::new(),
        path_prefixes: Vec::new(),
        sticky: StickyRule::default(),
        headers: HeaderNames::default(),
        force: None,
        body_bytes_max: 1 << 20,
        body_bytes_by_path: Vec::new(),
        stream_errors: StreamErrors::Cut,
        requests_per_client: None,
        quality: None,
        smoke: std::sync::Arc::default(),
        warm_up: None,
        environments: Vec::new(),
        initial: InitialSplit {
            active: assignment.active.clone(),
            candidate: None,
            fallback: None,
            weights: Vec::new(),
        },
        plans: Plans::default(),
    };
    RoutingTable::new(generation, Arc::new(service), environments, assignment.clone())
}
