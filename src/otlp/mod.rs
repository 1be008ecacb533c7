//! Traces and metrics, pushed to an OpenTelemetry collector by OTLP over HTTP. Only with the feature
//! `otlp`.
//!
//! Nothing of this is on the path of a request: cores hand records of exchanges whose trace is recorded
//! to a bounded queue, and tasks of the control plane push them. A collector that is slow or down delays
//! nobody; what it misses is kept as far as the queue goes, then lost and counted, and the program's log
//! says so once.

mod attributes;
mod collector;
mod spans;
mod traces;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::resolved::OtlpSpec;
use crate::metrics::feed::Feed;

/// Time for the last push when the process ends.
const LAST_PUSH: Duration = Duration::from_secs(2);

/// An export at work.
#[derive(Debug)]
pub struct Export {
    /// Tells the tasks that nothing more will come.
    stop: watch::Sender<()>,
    tasks: JoinSet<()>,
}

impl Export {
    /// Starts to export what `feed` tells. Ends with `finish`, or at once when dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(spec: &OtlpSpec, feed: &Feed) -> Self {
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(traces::push(spec.clone(), feed.collect_traces(), stopped));
        Self { stop, tasks }
    }

    /// Pushes what is left; takes 2 s at most.
    pub async fn finish(mut self) {
        self.stop.send_replace(());
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_PUSH, all).await.is_err() {
            tracing::warn!("the last traces and metrics were not pushed in time");
        }
    }
}
