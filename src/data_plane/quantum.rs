//! How much of a body one task passes on before the core's other tasks have their turn.
//!
//! A core runs one task at a time. A body that comes as fast as it is taken would otherwise keep its task
//! running until tokio's own budget is used up, which counts reads and not bytes: up to 64 of 60 KiB, and no other
//! client is served meanwhile. The word is that of deficit round robin.

use std::future::Future;
use std::pin::pin;
use std::task::Context;

/// Of a body that is passed on as it is.
const WHOLE_BYTES: usize = 64 * 1024;
/// Of a stream, which is read event by event: some 70 chunks of vLLM, of 250 ns each (`benches/inspect.sh`).
const STREAM_BYTES: usize = 16 * 1024;

/// What one body may pass on until the others have had their turn.
#[derive(Debug)]
pub struct Quantum {
    most: usize,
    used: usize,
}

impl Quantum {
    /// That of a stream, or of another body.
    pub fn of(is_stream: bool) -> Self {
        Self { most: if is_stream { STREAM_BYTES } else { WHOLE_BYTES }, used: 0 }
    }

    /// All of it, in bytes.
    pub fn most(&self) -> usize {
        self.most
    }

    /// So many more bytes were passed on.
    pub fn took(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Whether it is used up. Then the task shall return: it is woken when the others have run and the
    /// sockets were looked at, and has a new one.
    pub fn is_used_up(&mut self, cx: &mut Context<'_>) -> bool {
        if self.used < self.most {
            return false;
        }
        self.used = 0;
        // Its own waker would put the task before what the sockets have ready.
        pin!(tokio::task::yield_now()).poll(cx).is_pending()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn others_run_whenever_a_quantum_is_used_up() {
        let local = tokio::task::LocalSet::new();
        let rounds = Rc::new(Cell::new(0));
        let counted = Rc::clone(&rounds);
        local.spawn_local(async move {
            loop {
                counted.set(counted.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        let mut quantum = Quantum::of(true);
        let mut left = 4 * STREAM_BYTES;
        let body = poll_fn(|cx| {
            while left > 0 {
                left -= 1024;
                quantum.took(1024);
                if quantum.is_used_up(cx) {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        });
        local.run_until(body).await;
        assert!(rounds.get() >= 3, "{} rounds of another task", rounds.get());
    }
}
