//! Traces and metrics, pushed to an OpenTelemetry collector by OTLP over HTTP. Only with the feature
//! `otlp`.
//!
//! Nothing of this is on the path of a request: cores hand records of exchanges whose trace is recorded
//! to a bounded queue, and tasks of the control plane push them. A collector that is slow or down delays
//! nobody; what it misses is kept as far as the queue goes, then lost and counted, and the program's log
//! says so once.

mod attributes;
mod collector;
mod exponential;
mod metrics;
mod spans;
mod traces;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use attributes::{resource, scope};
use collector::Collector;
use metrics::Seen;

use crate::config::resolved::OtlpSpec;
use crate::control_plane::handle::ControllerHandle;
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
    /// Starts to export what `feed` tells and `controller` counts. Ends with `finish`, or at once when dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(spec: &OtlpSpec, feed: &Feed, controller: &ControllerHandle) -> Self {
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        let spans_lost = Arc::new(AtomicU64::new(0));
        let collector = Collector::new(spec, "traces", Arc::clone(&spans_lost));
        let queue = feed.collect_traces();
        tasks.spawn(traces::push(collector, spec.interval, queue, stopped.clone()));
        let collector = Collector::new(spec, "metrics", Arc::default());
        let counts =
            Counts { controller: controller.clone(), spans_lost, since: SystemTime::now() };
        tasks.spawn(push_metrics(collector, spec.interval, counts, stopped));
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

/// Where the counts are.
struct Counts {
    controller: ControllerHandle,
    spans_lost: Arc<AtomicU64>,
    since: SystemTime,
}

/// Pushes the counts once per interval, and once more when it is told to stop. One that is missed is made
/// good by the next: counts are since the start.
async fn push_metrics(
    mut collector: Collector,
    every: Duration,
    counts: Counts,
    mut stop: watch::Receiver<()>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = tokio::select! {
            _ = stop.changed() => true,
            _ = ticks.tick() => false,
        };
        let result = collector.push(&counts.request()).await;
        collector.tell(&result, 0);
        if is_last {
            return;
        }
    }
}

impl Counts {
    fn request(&self) -> ExportMetricsServiceRequest {
        let seen = Seen {
            totals: self.controller.totals(),
            services: self.controller.view(),
            // Relaxed: a count that orders nothing.
            spans_lost: self.spans_lost.load(Ordering::Relaxed),
            times: (self.since, SystemTime::now()),
        };
        let (metrics, scope) = (seen.metrics(), Some(scope()));
        let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
        let resource = Some(resource());
        let of_process = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![of_process] }
    }
}
