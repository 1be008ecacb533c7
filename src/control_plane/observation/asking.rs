//! Asks one core for its notes, four times a second.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::link::{CoreLinks, CoreMessage};
use crate::metrics::notes::NoteReport;
use crate::model::environment::EnvironmentId;

/// How often: once for each tick of the judge.
const EVERY: Duration = Duration::from_millis(250);
/// How long after the end of a tick, so that no core is asked a moment too early.
const AFTER_TICK: Duration = Duration::from_millis(2);

/// What a core handed over.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) core: usize,
    pub(super) report: NoteReport,
}

/// Asks until the core has ended. It is not asked again before it has answered, so that the mailbox of
/// one that is stuck does not fill up.
pub(super) async fn ask(
    core: usize,
    pair: [EnvironmentId; 2],
    links: CoreLinks,
    answers: mpsc::Sender<Answer>,
) {
    let mut tick = tokio::time::interval_at(next_tick(links.epoch()).into(), EVERY);
    // Skipping keeps to the ticks; catching up would ask twice for the same.
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let (reply, replied) = oneshot::channel();
        // The first question begins the notes, so it does not wait for a tick. A full mailbox drops the
        // question, and the core is asked at the next one.
        links.post_to(core, CoreMessage::HandOverNotes(pair, reply));
        if let Ok(report) = replied.await
            && answers.send(Answer { core, report }).await.is_err()
        {
            return;
        }
        tokio::select! {
            _ = tick.tick() => {}
            () = links.left(core) => return,
        }
    }
}

/// A moment after the next quarter of a second since the epoch has begun.
fn next_tick(epoch: Instant) -> Instant {
    let every = u32::try_from(EVERY.as_nanos()).expect("a quarter of a second");
    let into = epoch.elapsed().as_nanos() % u128::from(every);
    let into = u64::try_from(into).expect("less than a quarter of a second");
    Instant::now() + EVERY.saturating_sub(Duration::from_nanos(into)) + AFTER_TICK
}
