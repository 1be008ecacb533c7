//! Looks at something that goes on while Cyan is started anew: a rollout does, and so does a CI job that
//! waits for it.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::client::{Client, Look};
use super::failure::Failure;
use crate::config::duration;

/// How long nobody may answer. A start with a large state, and a balancer that looks for it, take seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again.
#[derive(Debug)]
pub(super) struct Lookout {
    patience: Duration,
    /// Since when nobody answers.
    away_since: Option<Instant>,
}

impl Lookout {
    /// For somebody who waits for so long at most.
    pub(super) fn within(limit: Duration) -> Self {
        Self { patience: PATIENCE.min(limit), away_since: None }
    }

    /// What is at `path`; `None` while nobody answers, which `remark` is told of once. Cancel safe.
    ///
    /// # Errors
    /// When the answer is a refusal, or nobody has answered for a minute or the limit.
    pub(super) async fn look<T: DeserializeOwned>(
        &mut self,
        client: &Client,
        path: &str,
        remark: impl FnOnce(&str),
    ) -> Result<Option<T>, Failure> {
        match client.look(path).await? {
            Look::Seen(seen) => {
                self.away_since = None;
                Ok(Some(seen))
            }
            Look::Away(failure) => self.bear(failure, Instant::now(), remark).map(|()| None),
        }
    }

    fn bear(
        &mut self,
        failure: Failure,
        now: Instant,
        remark: impl FnOnce(&str),
    ) -> Result<(), Failure> {
        let Some(since) = self.away_since else {
            self.away_since = Some(now);
            remark(&format!(
                "{}; asking again for {}",
                failure.message,
                duration::spoken(self.patience)
            ));
            return Ok(());
        };
        if now.saturating_duration_since(since) < self.patience { Ok(()) } else { Err(failure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_for_more_than_a_minute() {
        let gone = || Failure::unexpected("gone");
        let start = Instant::now();
        for (limit, patience, spoken) in [(3_600, 60, "1 min"), (5, 5, "5 s")] {
            let mut lookout = Lookout::within(Duration::from_secs(limit));
            let mut remarks = Vec::new();
            for (after, is_borne) in [(0, true), (patience - 1, true), (patience, false)] {
                let now = start + Duration::from_secs(after);
                let borne = lookout.bear(gone(), now, |text| remarks.push(text.to_owned()));
                assert_eq!(borne.is_ok(), is_borne, "after {after} s");
            }
            assert_eq!(remarks, [format!("gone; asking again for {spoken}")]);
        }
    }
}
