//! The way to one receiver: a bounded queue, and a bounded number of deliveries under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::delivery::{Outcome, deliver, or_failed};
use super::letter::Letter;
use crate::control_plane::event::Events;
use crate::model::hook::{HookSpec, Receiver};

/// Letters that wait for a receiver: a rollout has about ten, so that these are those of several.
const WAITING_MAX: usize = 64;

/// Deliveries to a receiver at once, so that one that hangs until its timeout does not hold up the
/// next, which may be the one that matters.
const DELIVERIES_MAX: usize = 4;

/// Where letters for one receiver are handed in.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) hook: Arc<HookSpec>,
    queue: mpsc::Sender<Arc<Letter>>,
    dropped: Arc<AtomicU64>,
}

/// Delivers what is handed in.
pub(super) struct Worker {
    hook: Arc<HookSpec>,
    receiver: Arc<Receiver>,
    inbox: mpsc::Receiver<Arc<Letter>>,
    dropped: Arc<AtomicU64>,
}

/// Both ends of a lane.
pub(super) fn open(hook: &Arc<HookSpec>, receiver: Receiver) -> (Lane, Worker) {
    let (queue, inbox) = mpsc::channel(WAITING_MAX);
    let dropped = Arc::<AtomicU64>::default();
    let lane = Lane { hook: Arc::clone(hook), queue, dropped: Arc::clone(&dropped) };
    (lane, Worker { hook: Arc::clone(hook), receiver: Arc::new(receiver), inbox, dropped })
}

impl Lane {
    /// Puts a letter into the queue, or counts it as dropped.
    pub(super) fn hand_in(&self, letter: &Arc<Letter>) {
        if self.queue.try_send(Arc::clone(letter)).is_err() {
            // Relaxed: a count that orders nothing.
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Worker {
    /// Runs until it is dropped, or is closing and has delivered what was handed in.
    pub(super) async fn run(mut self, events: Events, mut closing: watch::Receiver<bool>) {
        let mut deliveries = JoinSet::new();
        let mut is_open = true;
        loop {
            tokio::select! {
                letter = self.inbox.recv(), if deliveries.len() < DELIVERIES_MAX => {
                    let Some(letter) = letter else { break };
                    self.tell_of_dropped(&events);
                    deliveries.spawn(self.delivery(letter, events.clone()));
                }
                Some(_) = deliveries.join_next() => {}
                _ = closing.wait_for(|closing| *closing), if is_open => {
                    is_open = false;
                    self.inbox.close(); // what waits in it still comes out
                }
            }
        }
        while deliveries.join_next().await.is_some() {}
    }

    fn delivery(&self, letter: Arc<Letter>, events: Events) -> impl Future<Output = ()> + use<> {
        let (hook, receiver) = (Arc::clone(&self.hook), Arc::clone(&self.receiver));
        async move {
            let began = Instant::now();
            // Boxed, since all that speaks HTTP to receivers makes it large.
            let outcome = or_failed(Box::pin(deliver(&hook, &receiver, &letter))).await;
            tell(&events, &hook, &receiver, &letter, &outcome, began);
        }
    }

    /// Room in the queue again: time to say how much it has cost that there was none.
    fn tell_of_dropped(&self, events: &Events) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped == 0 {
            return;
        }
        let (hook, receiver) = (&self.hook.name, &self.receiver);
        let text = format!(
            "hook {hook}: {dropped} notices for {receiver} were dropped, since {WAITING_MAX} waited already"
        );
        let details = json!({ "hook": hook, "receiver": receiver.to_string(), "dropped": dropped });
        events.tell(None, "hook_dropped", text, details);
    }
}

fn tell(
    events: &Events,
    hook: &HookSpec,
    receiver: &Receiver,
    letter: &Letter,
    outcome: &Outcome,
    began: Instant,
) {
    let Outcome { delivered, attempts, saw, output } = outcome;
    let (name, occasion) = (&hook.name, letter.notice.occasion.name());
    let times =
        if *attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
    let (kind, text) = if *delivered {
        ("hook_delivered", format!("hook {name}: {receiver} was told of {occasion}: {saw}"))
    } else {
        let text = format!("hook {name}: {receiver} was not told of {occasion}, {times}: {saw}");
        ("hook_failed", text)
    };
    let details = json!({
        "hook": name,
        "receiver": receiver.to_string(),
        "occasion": occasion,
        "id": letter.id,
        "attempts": attempts,
        "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "saw": saw,
        "output": output,
    });
    events.tell(letter.notice.service.as_ref(), kind, text, details);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::argv::Argv;
    use crate::model::hook::HookFormat;
    use crate::model::name::Name;
    use crate::model::occasion::Occasion;
    use crate::rollout::notice::Notice;

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_counted_and_told() {
        let argv = Argv::try_from(vec!["/bin/true".to_owned()]).unwrap();
        let hook = Arc::new(HookSpec {
            name: Name::new("scale").unwrap(),
            on: vec![Occasion::Alert],
            services: vec![],
            receivers: vec![],
            format: HookFormat::Json,
            secret: None,
            timeout: std::time::Duration::from_secs(10),
            retries: 0,
        });
        let (lane, worker) = open(&hook, Receiver::Program(argv));
        let letter = Arc::new(Letter::new(
            Notice {
                occasion: Occasion::Alert,
                service: None,
                environment: None,
                rollout: None,
                version: None,
                text: String::new(),
                details: Value::Null,
            },
            None,
        ));
        for _ in 0..WAITING_MAX + 6 {
            lane.hand_in(&letter);
        }
        let events = Events::default();
        let mut listener = events.listen();
        worker.run(events, watch::channel(true).1).await;
        let dropped = listener.recv().await.unwrap();
        assert_eq!((dropped.kind, &dropped.details["dropped"]), ("hook_dropped", &json!(6)));
        let mut delivered = 0;
        while let Ok(event) = listener.try_recv() {
            assert_eq!(event.kind, "hook_delivered", "{event:?}");
            delivered += 1;
        }
        assert_eq!(delivered, WAITING_MAX);
    }
}
