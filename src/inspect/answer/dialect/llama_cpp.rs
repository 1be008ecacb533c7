//! llama.cpp's own completions (`/completion`): `content` piece by piece, `stop` on the last one.

use crate::inspect::answer::facts::Facts;
use crate::inspect::answer::reason::Reason;
use crate::inspect::answer::tally::Tally;

/// `content` with a text, and `stop` with true or false.
pub fn is_spoken(facts: &Facts) -> bool {
    facts.stop.is_some() && facts.has_content_text
}

/// Content is `content`; several prompts in one request have an `index` each, as choices have.
pub fn read(facts: &Facts, tally: &mut Tally) {
    let reason = facts.reason.unwrap_or(Reason::STOP);
    tally.choices.note(facts.index, (facts.stop == Some(true)).then_some(reason));
    tally.is_given_up |= tally.choices.is_overflowed();
    tally.add_content(u32::from(facts.has_content));
    tally.usage.update(&facts.usage);
}

/// Every prompt's completion has stopped; newer builds add `[DONE]`, older ones nothing.
pub fn is_whole(tally: &Tally) -> bool {
    tally.choices.is_any() && tally.choices.have_all_finished()
}
