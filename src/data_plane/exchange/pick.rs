//! Which upstream of an environment: the one with the least in flight among the usable.

use std::sync::Arc;
use std::time::Instant;

use crate::model::environment::Environment;
use crate::model::upstream::{Upstream, UpstreamId};

/// Upstreams that a request has tried in vain. Bounded: `connect_retries` is a byte.
#[derive(Debug, Default)]
pub struct Tried(Vec<UpstreamId>);

impl Tried {
    /// Remembers one.
    pub fn add(&mut self, id: UpstreamId) {
        self.0.push(id);
    }

    /// Forgets all, when another environment takes over.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn has(&self, id: UpstreamId) -> bool {
        self.0.contains(&id)
    }
}

/// The usable upstream with the least in flight, one that starts slowly counted as fuller than it is.
/// Equals take turns by `turn`. One that is back from an ejection is left to the request that tries it, while
/// there are others.
pub fn usable(
    environment: &Environment,
    tried: &Tried,
    now: Instant,
    turn: u64,
) -> Option<Arc<Upstream>> {
    if let [only] = environment.upstreams.as_slice() {
        return (only.is_usable(now) && !tried.has(only.id)).then(|| Arc::clone(only));
    }
    let load = |upstream: &Upstream| {
        (upstream.is_usable(now) && !tried.has(upstream.id)).then(|| {
            let load = f64::from(upstream.in_flight.count() + 1);
            load / upstream.readiness(environment.spec.slow_start, now)
        })
    };
    // Whoever is late to try one finds it being tried in the next round.
    while let Some(found) =
        least(
            environment,
            turn,
            |upstream| {
                if upstream.is_being_tried(now) { None } else { load(upstream) }
            },
        )
    {
        if found.try_it(now) {
            return Some(found);
        }
    }
    least(environment, turn, load)
}

/// The least loaded among those that answer, suspect or not: a doubt is no reason to prefer one that is
/// known to be out.
pub fn doubtful(
    environment: &Environment,
    tried: &Tried,
    now: Instant,
    turn: u64,
) -> Option<Arc<Upstream>> {
    least(environment, turn, |upstream| {
        let is_answering = !upstream.is_out(now) && !tried.has(upstream.id);
        is_answering.then(|| f64::from(upstream.in_flight.count() + 1))
    })
}

/// Any upstream not tried yet, whatever is thought of its health: an opinion is no reason to refuse.
pub fn any(environment: &Environment, tried: &Tried, turn: u64) -> Option<Arc<Upstream>> {
    least(environment, turn, |upstream| {
        (!tried.has(upstream.id)).then(|| f64::from(upstream.in_flight.count() + 1))
    })
}

fn least(
    environment: &Environment,
    turn: u64,
    load: impl Fn(&Upstream) -> Option<f64>,
) -> Option<Arc<Upstream>> {
    let upstreams = &environment.upstreams;
    let count = upstreams.len();
    let start = usize::try_from(turn % count.max(1) as u64).unwrap_or(0);
    let mut best: Option<(f64, &Arc<Upstream>)> = None;
    for offset in 0..count {
        let upstream = &upstreams[(start + offset) % count];
        if let Some(load) = load(upstream)
            && best.is_none_or(|(least, _)| load < least)
        {
            best = Some((load, upstream));
        }
    }
    best.map(|(_, upstream)| Arc::clone(upstream))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::environment::{EnvironmentId, EnvironmentSpec};
    use crate::model::name::Name;
    use crate::model::upstream::{EjectionSpec, Probe, Trust};

    fn three(now: Instant) -> Environment {
        let spec = |port: u32| format!("http://127.0.0.1:{port}").parse().unwrap();
        let upstream = |n: u32| Arc::new(Upstream::new(UpstreamId(n), spec(8000 + n), now));
        Environment {
            id: EnvironmentId(0),
            spec: Arc::new(EnvironmentSpec::new(Name::new("blue").unwrap(), vec![])),
            upstreams: (0..3).map(upstream).collect(),
            in_flight: Arc::default(),
            mirror: Arc::default(),
        }
    }

    #[test]
    fn the_least_loaded_usable_one_is_taken_and_equals_take_turns() {
        let now = Instant::now();
        let blue = three(now);
        let tried = Tried::default();
        let turns: Vec<_> =
            (0..3).map(|turn| usable(&blue, &tried, now, turn).unwrap().id.0).collect();
        assert_eq!(turns, [0, 1, 2]);
        let _busy = (blue.upstreams[0].in_flight.enter(), blue.upstreams[1].in_flight.enter());
        assert_eq!(usable(&blue, &tried, now, 0).unwrap().id.0, 2);
        blue.upstreams[2].set_probe(Probe::Down, now);
        assert_eq!(usable(&blue, &tried, now, 0).unwrap().id.0, 0);
    }

    #[test]
    fn one_that_returns_gets_less_at_first() {
        let now = Instant::now();
        let blue = three(now);
        blue.upstreams[2].set_probe(Probe::Down, now);
        blue.upstreams[2].set_probe(Probe::Up, now);
        let _busy: Vec<_> = (0..4).map(|n| blue.upstreams[n % 2].in_flight.enter()).collect();
        let tried = Tried::default();
        assert_ne!(usable(&blue, &tried, now, 2).unwrap().id.0, 2, "1 / 0.1 is more than 3");
        let later = now + Duration::from_secs(5);
        assert_eq!(usable(&blue, &tried, later, 2).unwrap().id.0, 2, "1 / 0.5 is less than 3");
    }

    #[test]
    fn one_request_tries_who_is_back_from_an_ejection_and_the_others_follow_its_answer() {
        let start = Instant::now();
        let blue = three(start);
        let tried = Tried::default();
        let pick = |now, turn| usable(&blue, &tried, now, turn).unwrap().id.0;
        blue.upstreams[0].eject(&EjectionSpec::default(), start);
        let back = start + Duration::from_secs(1);
        assert_eq!([pick(back, 0), pick(back, 0), pick(back, 3)], [0, 1, 1]);
        let later = back + Duration::from_secs(1);
        assert_eq!([pick(later, 0), pick(later, 0)], [0, 1], "it may take long to answer");
        blue.upstreams[0].answered(later);
        let well = later + blue.spec.slow_start;
        assert_eq!([pick(well, 0), pick(well, 0)], [0, 0]);
    }

    #[test]
    fn when_all_are_back_at_once_everybody_may_try() {
        let start = Instant::now();
        let blue = three(start);
        let tried = Tried::default();
        blue.upstreams.iter().for_each(|upstream| upstream.eject(&EjectionSpec::default(), start));
        let back = start + Duration::from_secs(1);
        let picked: Vec<_> = (0..6).map(|_| usable(&blue, &tried, back, 0).unwrap().id.0).collect();
        assert_eq!(picked, [0, 1, 2, 0, 0, 0]);
    }

    #[test]
    fn a_suspect_is_taken_before_one_that_is_out_and_after_all_others() {
        let now = Instant::now();
        let blue = three(now);
        let tried = Tried::default();
        blue.upstreams[0].set_probe(Probe::Down, now);
        blue.upstreams[1].set_trust(Trust::Suspect, now);
        let _busy = blue.upstreams[2].in_flight.enter();
        assert_eq!(usable(&blue, &tried, now, 0).unwrap().id.0, 2);
        blue.upstreams[2].set_probe(Probe::Down, now);
        assert!(usable(&blue, &tried, now, 0).is_none());
        assert_eq!(doubtful(&blue, &tried, now, 0).unwrap().id.0, 1);
        blue.upstreams[1].set_probe(Probe::Down, now);
        assert!(doubtful(&blue, &tried, now, 0).is_none());
    }

    #[test]
    fn all_down_is_still_worth_a_try() {
        let now = Instant::now();
        let blue = three(now);
        blue.upstreams.iter().for_each(|upstream| upstream.set_probe(Probe::Down, now));
        let mut tried = Tried::default();
        assert!(usable(&blue, &tried, now, 0).is_none());
        for _ in 0..3 {
            tried.add(any(&blue, &tried, 0).unwrap().id);
        }
        assert!(any(&blue, &tried, 0).is_none());
    }
}
