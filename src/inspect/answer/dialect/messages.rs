//! Anthropic's Messages: a message begins, its blocks come in deltas, the message ends.
//!
//! `message_start` has the tokens of the prompt and a first, meaningless number of generated ones;
//! `message_delta` has the reason to stop and the number that counts.

use crate::inspect::answer::facts::{Facts, Kind};
use crate::inspect::answer::tally::Tally;
use crate::inspect::answer::usage::Usage;

/// One of its types. `message` alone is too common a word: a whole answer has its reason to stop, too.
pub fn is_spoken(facts: &Facts) -> bool {
    match facts.kind {
        Kind::MessageStart | Kind::Block | Kind::MessageDelta | Kind::MessageStop => true,
        Kind::Message => facts.has_reason,
        _ => false,
    }
}

/// Content is any delta that is not empty, and a block that begins with a name: a tool's.
pub fn read(facts: &Facts, tally: &mut Tally) {
    match facts.kind {
        Kind::MessageStart => tally.usage.update(&Usage { output: None, ..facts.usage }),
        Kind::Block => tally.add_content(u32::from(facts.has_content)),
        Kind::MessageDelta => stop(facts, tally),
        Kind::MessageStop => tally.has_ended = true,
        _ => {
            tally.add_content(u32::from(facts.has_content));
            stop(facts, tally);
            tally.has_ended = true;
        }
    }
}

/// The last event came, and a reason to stop before it.
pub fn is_whole(tally: &Tally) -> bool {
    tally.has_ended && tally.reason.is_some()
}

fn stop(facts: &Facts, tally: &mut Tally) {
    tally.stop(facts.reason);
    tally.usage.update(&facts.usage);
}
