//! Scores over a restart: what came in is written down every few seconds, and what came in within the last
//! hour is counted again by the next process, as long as it has the same version of the environment.
//!
//! An answer to whoever sends scores does not wait for the disk. So a crash loses those of the last five
//! seconds at most, as it does with what judges know.

use std::time::{Duration, Instant};

use super::clock::unix_ms;
use super::handle::Shared;
use super::store::ScoreSlot;
use crate::metrics::scores::NewScores;
use crate::model::environment::Environment;
use crate::model::snapshot::Snapshot;

impl Shared {
    /// What came in since this was asked last.
    pub(super) fn new_scores(&self, now: Instant) -> Vec<ScoreSlot> {
        let new = self.measurements.scores().take_new();
        if new.is_empty() {
            return vec![];
        }
        let snapshot = self.snapshot.load();
        let epoch_s = self.epoch_s(now);
        new.into_iter().filter_map(|new| slot(&snapshot, epoch_s, new)).collect()
    }

    /// Counts what an earlier process has written down, the oldest first.
    pub(super) fn restore_scores(&self, kept: &[ScoreSlot], now: Instant) {
        let snapshot = self.snapshot.load();
        let epoch_s = self.epoch_s(now);
        let mut log = self.measurements.scores();
        for ScoreSlot { service, environment, version, name, origin, at_s, sum } in kept {
            let found = snapshot
                .table(service.as_str())
                .and_then(|table| table.environment(environment.as_str()))
                .filter(|environment| version_of(environment) == version);
            if let Some(environment) = found {
                let before = Duration::from_secs(epoch_s.saturating_sub(*at_s));
                log.restore(environment.id, (name, *origin), sum, before);
            }
        }
    }

    /// The epoch of all measurements in seconds of Unix time, by the clock of now.
    fn epoch_s(&self, now: Instant) -> u64 {
        let since = self.measurements.since_epoch(now);
        (unix_ms() / 1000).saturating_sub(since.as_secs())
    }
}

/// With names in place of numbers; nothing of an environment that has gone meanwhile.
fn slot(snapshot: &Snapshot, epoch_s: u64, new: NewScores) -> Option<ScoreSlot> {
    let NewScores { id, name, origin, began_s, sum } = new;
    let mut found = snapshot.tables().iter().filter_map(|table| {
        let environment = table.environments.iter().find(|environment| environment.id == id)?;
        Some((table.service.name.clone(), environment))
    });
    let (service, environment) = found.next()?;
    Some(ScoreSlot {
        service,
        environment: environment.name().clone(),
        version: version_of(environment).to_owned(),
        name,
        origin,
        at_s: epoch_s.saturating_add_signed(began_s),
        sum,
    })
}

fn version_of(environment: &Environment) -> &str {
    environment.spec.version.as_deref().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::scores::NewScore;
    use super::super::test_rig::{Rig, chat, config, name};
    use crate::config::Config;
    use crate::model::score::{Score, quality};

    /// Of green: scores of the last 5 minutes, of the last hour, of the step, of the process.
    fn counts(rig: &Rig) -> Option<[u64; 4]> {
        let snapshot = rig.handle.snapshot();
        let id = snapshot.table("chat").unwrap().environment("green").unwrap().id;
        rig.handle.scores(id).first().map(|scores| scores.sums.map(|sum| sum.count()))
    }

    fn released(dir: &tempfile::TempDir, version: &str) -> Config {
        let mut chat = chat();
        chat.environments[1].version = Some(version.into());
        config(dir, vec![chat])
    }

    #[tokio::test]
    async fn scores_outlast_a_restart_and_not_a_new_version() {
        let dir = tempfile::tempdir().unwrap();
        let config = released(&dir, "v1");
        let score = |value| NewScore {
            service: name("chat"),
            environment: name("green"),
            exchange: None,
            rollout: None,
            name: quality(),
            score: Score::new(value).unwrap(),
            key: None,
            count: 1,
            age: Duration::ZERO,
            is_evaluation: false,
        };
        let rig = Rig::start(&config);
        rig.handle.score(&[score(0.5), score(1.0)]).unwrap();
        rig.handle.shutdown().await;

        let rig = Rig::start(&config);
        assert_eq!(counts(&rig), Some([2, 2, 0, 0]));
        rig.handle.score(&[score(0.75)]).unwrap();
        assert_eq!(counts(&rig), Some([3, 3, 1, 1]));
        rig.handle.shutdown().await;

        let rig = Rig::start(&config);
        assert_eq!(counts(&rig), Some([3, 3, 0, 0]), "none is counted twice");
        rig.handle.shutdown().await;
        let rig = Rig::start(&released(&dir, "v2"));
        assert_eq!(counts(&rig), None);
    }
}
