//! From counts to the answer: which time, which latency, which scores, and who is compared with whom.

use super::super::measurements::Measurements;
use super::super::scores::NewScore;
use super::super::test_rig::{Rig, chat, config, name};
use super::*;
use crate::judge::settings::Settings;
use crate::metrics::shard::tests::{ended, values};
use crate::metrics::shard::{Ended, ShardReport, Values};
use crate::model::plan::Step;
use crate::model::score::Score;
use crate::model::verdict::Verdict;
use crate::model::weight::Weight;

const S: fn(u64) -> Duration = Duration::from_secs;

/// A controller whose counts are made up, second by second from its start.
struct Scene {
    rig: Rig,
    began: Instant,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(&config(&dir, vec![chat()]));
        let began = Instant::now();
        let snapshot = rig.handle.snapshot();
        // Nothing in these tests waits, so that the collector does not come in between.
        rig.handle
            .shared
            .measurements
            .know([&**snapshot.table("chat").unwrap()].into_iter(), began);
        Self { rig, began, _dir: dir }
    }

    fn measurements(&self) -> &Measurements {
        &self.rig.handle.shared.measurements
    }

    fn id(&self, environment: &str) -> EnvironmentId {
        self.rig.environment(environment).id
    }

    /// So many exchanges of an environment end in second `second`, each in its own number of milliseconds.
    fn end(&self, environment: &str, second: u64, count: u64, exchange: Ended) {
        let mut report = ShardReport::default();
        for n in 1..=count {
            let of_exchange = |own: Values| {
                let latency = Duration::from_millis(n);
                let ttft = own.ttft.map(|_| latency / 2);
                Values { latency, ttft, ..own }
            };
            let environment = self.id(environment);
            let values = exchange.values.map(of_exchange);
            report.ended(&Ended { environment, values, ..exchange });
        }
        self.measurements().add(0, &report, self.began + S(second));
    }

    /// A hundred good exchanges on both sides every ten seconds.
    fn run(&self, seconds: std::ops::Range<u64>) {
        for second in seconds.step_by(10) {
            self.end("blue", second, 10, ended(0));
            self.end("green", second, 10, ended(0));
        }
    }

    fn compare(&self, span: Option<Span>, second: u64) -> Compared {
        let snapshot = self.rig.handle.snapshot();
        let plan = Plan::default();
        let (blue, green) = (name("blue"), name("green"));
        let names = Both { active: &blue, candidate: &green };
        let question = Question::of(names, &plan, span);
        let now = self.began + S(second);
        let table = snapshot.table("chat").unwrap();
        self.rig.handle.shared.compare(table, &question, now).unwrap()
    }
}

#[tokio::test]
async fn the_window_of_the_rule_answers_when_it_can() {
    let scene = Scene::new();
    scene.end("green", 5, 500, Ended { verdict: Verdict::Truncated, ..ended(0) });
    for second in [700, 800, 900] {
        scene.end("blue", second, 500, ended(0));
        scene.end("green", second, 500, ended(0));
    }
    let found = scene.compare(None, 901);
    assert_eq!((found.span, found.measured.candidate.requests), (Span::Past(S(300)), 1_500));
    assert_eq!((found.comparison.safe, found.tallies.candidate.judged()), (Safety::Safe, 1_500));
    assert!((300..311).contains(&found.covers.as_secs()), "{:?}", found.covers);
    let step = scene.compare(Some(Span::Step), 901);
    assert_eq!((step.measured.candidate.requests, step.comparison.safe), (2_000, Safety::Unsafe));
}

#[tokio::test]
async fn a_window_with_too_little_gives_way_to_the_whole_step() {
    let scene = Scene::new();
    scene.run(0..1_200);
    let asked = scene.compare(Some(Span::Past(S(300))), 1_200);
    assert_eq!(asked.comparison.safe, Safety::NotEnoughData);
    let sentence = asked.explained.to_string();
    assert!(sentence.starts_with("not enough data: p99 needs at least "), "{sentence}");
    assert!(sentence.contains(" more green requests (") && sentence.contains(" s)"), "{sentence}");
    let found = scene.compare(None, 1_200);
    assert_eq!((found.span, found.measured.active.requests), (Span::Step, 1_200));
    assert_eq!(found.comparison.safe, Safety::Safe);
    assert_eq!(scene.compare(None, 200).span, Span::Past(S(300)), "the step is younger");
}

#[tokio::test]
async fn both_sides_are_measured_over_the_same_time() {
    let scene = Scene::new();
    let snapshot = scene.rig.handle.snapshot();
    let table = snapshot.table("chat").unwrap();
    let alone = vec![std::sync::Arc::clone(table.environment("blue").unwrap())];
    let mut assignment = table.assignment.clone();
    assignment.members.retain(|member| member.environment == *"blue");
    assignment.partner = None;
    let before = RoutingTable::new(1, table.service.clone(), alone, assignment);
    scene.measurements().know([&before].into_iter(), scene.began);
    scene.end("blue", 10, 1_000, ended(0));
    scene.measurements().know([&**table].into_iter(), scene.began + S(200));
    scene.end("blue", 250, 400, ended(0));
    scene.end("green", 250, 400, ended(0));
    let found = scene.compare(None, 290);
    assert_eq!(found.measured.active.requests, 400, "what was before green does not count");
    assert!((89..91).contains(&found.covers.as_secs()), "{:?}", found.covers);
    assert_eq!(found.comparison.safe, Safety::Safe);
}

#[tokio::test]
async fn latency_is_the_first_content_where_most_answers_stream() {
    let streamed = || Ended { values: Some(Values { ttft: Some(S(1)), ..values() }), ..ended(0) };
    for (streams, others, signal, p99) in [
        (400, 0, Measure::Ttft, 0.198),
        (500, 400, Measure::Ttft, 0.248),
        (300, 400, Measure::Total, 0.397),
    ] {
        let scene = Scene::new();
        scene.end("blue", 10, streams, streamed());
        scene.end("blue", 10, others, ended(0));
        // A candidate that never comes to its first content is not compared by something else.
        scene.end("green", 10, 400, ended(0));
        let found = scene.compare(None, 11);
        assert_eq!(found.signal, signal);
        let seen = found.comparison.latency_p99.sides;
        assert!((seen.active.unwrap() / p99 - 1.0).abs() < 0.02, "{seen:?}");
        assert_eq!(seen.candidate.is_some(), signal == Measure::Total);
    }
}

#[tokio::test]
async fn what_another_environment_served_counts_as_failed_and_has_no_latency() {
    let scene = Scene::new();
    scene.run(0..10);
    let handed_over =
        Ended { verdict: Verdict::ConnectError, values: None, handed_over: true, ..ended(0) };
    scene.end("green", 5, 30, handed_over);
    let found = scene.compare(None, 10);
    assert_eq!((found.measured.candidate.requests, found.measured.candidate.failures), (40, 30));
    let timed: u32 = found.measured.candidate.latency.iter().map(|(_, count)| count).sum();
    assert_eq!((timed, found.tallies.candidate.handed_over), (10, 30));
    assert_eq!(
        found.explained.to_string(),
        "not safe: 75 % of green's requests fail, allowed 1 % (10 blue requests, 40 green)"
    );
}

#[tokio::test]
async fn only_users_scores_are_compared() {
    let scene = Scene::new();
    let score = |environment: &str, value, is_evaluation| {
        let score = NewScore {
            service: name("chat"),
            environment: name(environment),
            exchange: None,
            rollout: None,
            name: score::quality(),
            score: Score::new(value).unwrap(),
            count: 1,
            key: None,
            age: Duration::ZERO,
            is_evaluation,
        };
        scene.rig.handle.score(&vec![score; 30]).unwrap();
    };
    let read = || scene.compare(None, 1).comparison.quality;
    score("green", 0.9, true);
    score("blue", 0.8, true);
    assert_eq!(read(), None);
    score("blue", 0.5, false);
    score("green", 0.25, false);
    let quality = read().unwrap();
    assert_eq!(quality.sides, Both { active: Some(0.5), candidate: Some(0.25) });
    assert_eq!((quality.worse_by, quality.safety()), (Some(0.25), Safety::Unsafe));
}

#[tokio::test]
async fn a_rollout_is_told_only_before_its_switch() {
    let scene = Scene::new();
    let snapshot = scene.rig.handle.snapshot();
    let table = snapshot.table("chat").unwrap();
    let step = |percent| Step::to(Weight::from_percent(percent).unwrap());
    let told = |taken: usize| {
        let plan = Plan { steps: vec![step(5.0), step(50.0), step(100.0)], ..Plan::default() };
        let rollout = Rollout {
            muted: None,
            id: 1,
            candidate: name("green"),
            base: name("blue"),
            version: None,
            plan_name: "default".to_owned(),
            plan,
            judging: Settings::default(),
            gates: vec![],
            unarmed: vec![],
            started_by: "cli:ana".to_owned(),
            started_at: 0,
            stands_since: 0,
            stage: Stage::Ramp { taken },
            since: Duration::ZERO,
            observed: Duration::ZERO,
            paused: None,
            held: None,
            rollback_time: None,
            start_key: None,
        };
        for_rollout(&scene.rig.handle.shared, table, &rollout)
    };
    assert_eq!([told(0), told(1), told(3)], [None, None, None]);
    let (answer, sentence) = told(2).unwrap();
    assert_eq!(answer, Safety::NotEnoughData);
    let expected = "not enough data: p99 needs at least 368 more green requests";
    assert!(sentence.starts_with(expected), "{sentence}");
}

#[tokio::test]
async fn who_cannot_be_compared_is_told_why() {
    let scene = Scene::new();
    let compare = |service: &str, candidate: Option<&str>| {
        let candidate = candidate.map(name);
        scene.rig.handle.compare(&name(service), candidate.as_ref(), None)
    };
    let found = compare("chat", None).unwrap();
    assert_eq!(found.names, Both { active: name("blue"), candidate: name("green") });
    for (service, candidate, expected) in [
        ("embed", None, "unknown service `embed`"),
        (
            "chat",
            Some("red"),
            "unknown environment `red` of service `chat`; configured: blue, green",
        ),
        ("chat", Some("blue"), "`blue` is the active environment; name one to compare with it"),
    ] {
        assert_eq!(compare(service, candidate).unwrap_err().to_string(), expected);
    }
}
