//! Collects the cores' counts once a second and sums them up.
//!
//! Each core is asked by a task of its own and not asked again before it has answered, so one that
//! is stuck delays nobody and its mailbox does not fill up with questions.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::handle::Shared;
use super::key_watch::KeyWatch;
use super::totals::Totals;
use crate::link::{CoreLinks, CoreMessage};
use crate::metrics::shard::ShardReport;

/// How often cores are asked.
const COLLECT_EVERY: Duration = Duration::from_secs(1);

/// What a core's task hands on.
enum Heard {
    /// The core answered.
    Report(usize, Box<ShardReport>),
    /// A second has passed without an answer.
    Nothing(usize),
}

/// Runs until every core has ended; what they counted to the last is published then.
pub(super) async fn run(links: CoreLinks, shared: Arc<Shared>) {
    // Two per core: more cannot be under way, as each is asked again only after its answer.
    let (heard, mut inbox) = mpsc::channel(2 * links.count().max(1));
    let mut cores = JoinSet::new();
    for core in 0..links.count() {
        // A task per core, so that nobody waits for a slow one. All end with this future.
        cores.spawn(ask(core, links.clone(), heard.clone()));
    }
    drop(heard);
    let mut totals = Totals::new(links.count());
    let mut keys = KeyWatch::default();
    let mut changed = shared.changed.subscribe();
    let mut publish = tokio::time::interval(COLLECT_EVERY);
    publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // In this order: a step begins with the change, so what is heard together with it comes after.
            // Changes and reports are few: nobody is kept from their turn.
            biased;
            // The sender is in `shared` and never gone.
            _ = changed.changed() => know(&mut totals, &shared),
            heard = inbox.recv() => match heard {
                Some(Heard::Report(core, report)) => {
                    keys.add(&report.keys);
                    shared.measurements.add(core, &report, Instant::now());
                    totals.add(core, &report);
                }
                Some(Heard::Nothing(core)) => totals.unanswered(core),
                None => break,
            },
            _ = publish.tick() => {
                know(&mut totals, &shared);
                totals.heavy_keys = keys.judge(&shared.snapshot.load(), &shared.events);
                shared.totals.store(Arc::new(totals.clone()));
            }
        }
    }
    for (core, report) in links.last_reports() {
        shared.measurements.add(core, &report, Instant::now());
        totals.add(core, &report);
    }
    shared.totals.store(Arc::new(totals));
    shared.is_counted.send_replace(true);
}

/// Takes over which environments there are now, and their weights.
fn know(totals: &mut Totals, shared: &Shared) {
    let published = shared.published.load();
    totals.know(published.environments(), SystemTime::now());
    shared.measurements.know(published.tables(), Instant::now());
}

async fn ask(core: usize, links: CoreLinks, heard: mpsc::Sender<Heard>) {
    let mut tick = tokio::time::interval(COLLECT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = links.left(core) => return,
        }
        let (answer, mut answered) = oneshot::channel();
        if !links.post_to(core, CoreMessage::Collect(answer)) {
            if heard.send(Heard::Nothing(core)).await.is_err() {
                return;
            }
            continue;
        }
        loop {
            let news = match tokio::time::timeout(COLLECT_EVERY, &mut answered).await {
                Ok(Ok(report)) => Heard::Report(core, Box::new(report)),
                Ok(Err(_)) | Err(_) => Heard::Nothing(core),
            };
            let done = answered.is_terminated() || matches!(news, Heard::Report(..));
            if heard.send(news).await.is_err() {
                return;
            }
            if done {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::test_rig::{PATIENCE, Rig, chat, config};
    use super::*;

    #[tokio::test]
    async fn a_core_that_does_not_answer_delays_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(&config(&dir, vec![chat()]));
        rig.stuck.store(true, Ordering::Relaxed);
        let counted = async {
            loop {
                let totals = rig.handle.totals();
                if totals.cores[0].requests >= 2 && totals.cores[1].unanswered >= 1 {
                    return totals;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let totals = tokio::time::timeout(PATIENCE, counted).await.unwrap();
        assert_eq!(totals.environments.len(), 2, "environments show before their first request");
        assert_eq!(totals.cores[0].unanswered, 0);
    }
}
