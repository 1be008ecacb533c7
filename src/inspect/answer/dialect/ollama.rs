//! Ollama's own API: one JSON per line, of which the last is `done`.

use crate::inspect::answer::facts::Facts;
use crate::inspect::answer::reason::Reason;
use crate::inspect::answer::tally::Tally;

/// `done` is there, true or false, beside the `message` or `response` that every line has. Alone it is
/// anybody's word: of an operation that is under way, of a task in a list.
pub fn is_spoken(facts: &Facts) -> bool {
    facts.done.is_some() && (facts.has_message || facts.has_response_text)
}

/// Content is what the message or the response says.
pub fn read(facts: &Facts, tally: &mut Tally) {
    tally.add_content(u32::from(facts.has_content));
    if facts.done == Some(true) {
        let reason = facts.reason.unwrap_or(Reason::STOP);
        tally.has_ended = true;
        tally.is_without_words |= reason.is_without_words;
        tally.stop(Some(reason));
        tally.usage.update(&facts.usage);
    }
}
