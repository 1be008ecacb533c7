//! The trace a request belongs to: joined, begun, or only passed on.
//!
//! While traces are not exported, `traceparent` and `tracestate` pass like any other header. While they
//! are, a request whose trace is recorded reaches the upstream with Cyan's span as its caller. One that
//! its client does not want recorded is not touched. Where there is no context in order, a trace begins
//! here, and a `tracestate` that would belong to another one goes.

use std::num::{NonZeroU64, NonZeroU128};

use super::edits::Edits;
use super::head::RequestHead;
use crate::data_plane::recorder::Recorder;
use crate::model::header_id::HeaderId;
use crate::model::trace_context::TraceContext;

/// The context that the client sent, if it is in order. Two of them are none.
pub fn sent(head: &impl RequestHead) -> Option<TraceContext> {
    let (mut count, mut sent) = (0, None);
    head.each_value(HeaderId::TRACEPARENT, &mut |value| {
        count += 1;
        sent = TraceContext::parse(value);
    });
    sent.filter(|_| count == 1)
}

/// Takes part in the trace, and begins one where there is none; `span` is the exchange's own number.
/// `share` of those begun here are recorded.
pub fn join(
    head: &impl RequestHead,
    span: u64,
    share: f64,
    recorder: &Recorder,
    edits: &mut Edits,
) -> TraceContext {
    let context = match sent(head) {
        Some(context) if !context.is_sampled => return context,
        Some(context) => context,
        None => {
            edits.remove(HeaderId::TRACESTATE);
            begin(share, recorder)
        }
    };
    edits.set(HeaderId::TRACEPARENT, &[&context.write(span)]);
    context
}

fn begin(share: f64, recorder: &Recorder) -> TraceContext {
    let high = recorder.random();
    // The lowest bit keeps both halves of the id from being zero.
    let low = NonZeroU64::MIN | recorder.random();
    let trace = NonZeroU128::from(low) | (u128::from(high) << 64);
    // The 53 highest bits as a number from 0 to 1, exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
    let dice = (recorder.random() >> 11) as f64 / (1_u64 << 53) as f64;
    TraceContext { trace, parent: None, is_sampled: dice < share }
}
