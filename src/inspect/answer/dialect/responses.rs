//! Responses: typed events around one `response`, or that object alone.
//!
//! Told by `type` in the data, since `transformers serve` sends no `event:` lines. The last event has the
//! whole answer once more; it counts as content only where no delta came before it.

use crate::inspect::answer::facts::{Facts, Kind, Status};
use crate::inspect::answer::reason::Reason;
use crate::inspect::answer::tally::Tally;

/// A type that begins with `response.`, or an object of that name.
pub fn is_spoken(facts: &Facts) -> bool {
    let is_event = matches!(
        facts.kind,
        Kind::ResponseContent | Kind::ResponseEnd | Kind::ResponseFailed | Kind::ResponseOther
    );
    is_event || facts.is_response_object
}

/// Content is any delta that is not empty, and an item that begins with a name: a tool's.
pub fn read(facts: &Facts, tally: &mut Tally) {
    tally.has_error |= facts.kind == Kind::ResponseFailed || facts.status == Some(Status::Failed);
    tally.has_ended |= facts.kind == Kind::ResponseFailed;
    if facts.kind == Kind::ResponseContent {
        tally.add_content(u32::from(facts.has_content));
    }
    if facts.kind == Kind::ResponseEnd || facts.is_response_object {
        end(facts, tally);
    }
}

fn end(facts: &Facts, tally: &mut Tally) {
    tally.has_ended = true;
    tally.usage.update(&facts.usage);
    if tally.content_events == 0 {
        tally.add_content(u32::from(facts.has_output));
    }
    match facts.status {
        Some(Status::Pending) => tally.is_without_words = true,
        Some(Status::Incomplete) => tally.stop(facts.reason.or(Some(Reason::LIMIT))),
        Some(Status::Completed) => tally.stop(Some(Reason::STOP)),
        Some(Status::Failed) | None => tally.stop(facts.reason),
    }
}
