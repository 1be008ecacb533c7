//! Pushes spans: in batches, again after a failure, and never more in memory than the queue and one
//! batch.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::attributes::{resource, scope};
use super::collector::{Collector, Problem};
use super::spans::span;
use crate::metrics::exchange_record::ExchangeRecord;
use crate::metrics::feed::Watch;

/// Spans of one push: about half a megabyte.
const BATCH_SPANS_MAX: usize = 512;

/// Records on their way.
struct Batch {
    collector: Collector,
    queue: Watch,
    records: Vec<Arc<ExchangeRecord>>,
    /// The last push failed; the next one waits for its time.
    has_failed: bool,
}

/// Pushes what `queue` brings, once per interval and whenever a batch is full, until it is told to stop.
pub(super) async fn push(
    collector: Collector,
    every: Duration,
    queue: Watch,
    mut stop: watch::Receiver<()>,
) {
    let mut batch = Batch { collector, queue, records: Vec::new(), has_failed: false };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let room = BATCH_SPANS_MAX - batch.records.len();
        tokio::select! {
            _ = stop.changed() => return batch.push_rest().await,
            _ = ticks.tick() => batch.push().await,
            () = batch.queue.next(&mut batch.records, room), if room > 0 => {
                if batch.records.len() == BATCH_SPANS_MAX && !batch.has_failed {
                    batch.push().await;
                }
            }
        }
    }
}

impl Batch {
    /// Pushes the batch. One that may be taken later is kept, one that never will be is lost.
    async fn push(&mut self) {
        let mut lost = self.queue.left_out().unread;
        if self.records.is_empty() && lost == 0 {
            return;
        }
        let result = self.collector.push(&request(&self.records)).await;
        self.has_failed = matches!(result, Err(Problem::ForNow(_)));
        if matches!(result, Err(Problem::ForGood(_))) {
            lost += self.records.len() as u64;
        }
        if !self.has_failed {
            self.records.clear();
        }
        self.collector.tell(&result, lost);
    }

    /// Pushes all there is, as long as it is taken.
    async fn push_rest(mut self) {
        loop {
            self.queue.take(&mut self.records, BATCH_SPANS_MAX);
            if self.records.is_empty() {
                return;
            }
            self.push().await;
            if self.has_failed {
                return;
            }
        }
    }
}

fn request(records: &[Arc<ExchangeRecord>]) -> ExportTraceServiceRequest {
    let spans = records.iter().filter_map(|record| Some(span(record, &record.trace?))).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let resource = Some(resource());
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}
