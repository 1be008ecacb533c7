//! Real upstreams, a real proxy and a client that sees every byte. Everything stops when dropped.

pub mod admin;
pub mod client;
pub mod crowd;
pub mod floods;
pub mod frames;
pub mod gate;
pub mod http2;
pub mod memory_engine;
pub mod program;
pub mod proxy;
pub mod pty;
pub mod raw_http2;
pub mod relay;
pub mod release;
pub mod served;
pub mod serving;
pub mod tables;
pub mod tapped;
pub mod tls;
pub mod upstream;

use std::future::Future;
use std::time::Duration;

use cyan::control_plane::ControllerHandle;
use cyan::control_plane::journal::{Entry, Query};

/// Nothing in a test may take longer than this.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `work`, which has to end before the deadline.
pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("not within 10 s")
}

/// Waits until a state is reached; what is asked for is a fact, not an amount of time.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let reached = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(reached.is_ok(), "not within 10 s: {what}");
}

/// The newest journal entry of this kind, which is written within a moment.
pub async fn journalled(controller: &ControllerHandle, kind: &str) -> Entry {
    in_time(async {
        loop {
            let page = controller.journal(Query::default()).await.expect("the journal is read");
            if let Some(entry) = page.entries.into_iter().find(|entry| entry.kind == kind) {
                return entry;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
