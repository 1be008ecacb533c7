//! Connections of one core on their way in: accepted, and not at their first byte of HTTP yet.
//!
//! A client far away needs a round trip or two for its handshake and its first request. A core that ends
//! waits for it as for one whose answer is under way: until the handshake has taken too long, and with the
//! first byte as long as connections at rest have for one more request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;

/// The connections on their way in.
pub struct Arrivals {
    count: Cell<usize>,
    /// A channel, because whoever waits for a byte has to hear of it.
    patience: watch::Sender<Patience>,
}

/// How long they are waited for.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// As long as the listener says.
    Usual,
    /// So long for the first byte, because the core ends.
    Rest(Duration),
    /// No longer.
    Over,
}

/// A connection on its way in, until it is dropped.
pub struct Arriving(Rc<Arrivals>);

impl Default for Arrivals {
    fn default() -> Self {
        Self { count: Cell::new(0), patience: watch::Sender::new(Patience::Usual) }
    }
}

impl Arrivals {
    /// Counts one more.
    pub fn begin(self: &Rc<Self>) -> Arriving {
        self.count.set(self.count.get() + 1);
        Arriving(Rc::clone(self))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// The core ends: from now on each has `rest` for its first byte.
    pub fn close_all(&self, rest: Duration) {
        self.patience.send_replace(Patience::Rest(rest));
    }

    /// Ends all of them.
    pub fn cut_all(&self) {
        self.patience.send_replace(Patience::Over);
    }
}

impl Arriving {
    /// Does `work`; `None` when it was cut before.
    pub async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut patience = self.0.patience.subscribe();
        let is_over = patience.wait_for(|patience| matches!(patience, Patience::Over));
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = is_over => None,
        }
    }

    /// Waits for the first byte, which `work` reads; `None` when it has not come in time.
    pub async fn first_byte<T>(&self, usual: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut patience = self.0.patience.subscribe();
        let rest_is_over = async {
            let is_ending = |patience: &Patience| !matches!(patience, Patience::Usual);
            let patience = patience.wait_for(is_ending).await.map_or(Patience::Over, |now| *now);
            if let Patience::Rest(rest) = patience {
                tokio::time::sleep(rest).await;
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = tokio::time::sleep(usual) => None,
            () = rest_is_over => None,
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const FOR_EVER: Duration = Duration::from_secs(1 << 30);

    #[tokio::test]
    async fn the_first_byte_has_its_usual_time_and_less_when_the_core_ends() {
        let arrivals = Rc::new(Arrivals::default());
        let arriving = arrivals.begin();
        assert!(arriving.first_byte(Duration::ZERO, pending::<()>()).await.is_none());
        assert!(arriving.first_byte(Duration::ZERO, ready(())).await.is_some(), "it had come");
        arrivals.close_all(Duration::ZERO);
        assert!(arriving.first_byte(FOR_EVER, pending::<()>()).await.is_none());
        assert!(arriving.first_byte(FOR_EVER, ready(())).await.is_some(), "it had come");
    }

    #[tokio::test]
    async fn they_are_counted_until_they_are_in_or_cut() {
        let arrivals = Rc::new(Arrivals::default());
        let (first, second) = (arrivals.begin(), arrivals.begin());
        assert_eq!(arrivals.count(), 2);
        drop(first);
        arrivals.cut_all();
        assert!(second.unless_cut(pending::<()>()).await.is_none());
        drop(second);
        assert_eq!(arrivals.count(), 0);
    }
}
