//! Chat Completions and the older Completions: `choices`, each with its deltas and its reason to stop.
//!
//! Also what vLLM, `SGLang`, llama.cpp, transformers, Ollama and others make of them.

use super::Dialect;
use crate::inspect::answer::facts::Facts;
use crate::inspect::answer::tally::Tally;

/// `choices` is there, even empty: so is the chunk with the usage. Where nothing was asked of a model,
/// the first ones must look like a model's: a poll has choices, too.
pub fn is_spoken(facts: &Facts, tally: &Tally) -> bool {
    let is_expected = tally.api.generates() || tally.dialect == Some(Dialect::OpenAi);
    facts.has_choices && (is_expected || facts.choices.are_of_model())
}

/// Content is what any choice says; the first chunk, which only names the role, says nothing.
pub fn read(facts: &Facts, tally: &mut Tally) {
    tally.add_choices(&facts.choices);
    tally.add_content(facts.choices.with_content());
    tally.usage.update(&facts.usage);
}

/// Every choice has its reason to stop, and `[DONE]` came, or the body ended as it should
/// (`transformers serve` sends no `[DONE]`). `[DONE]` alone is no success: servers send it after errors.
pub fn is_whole(tally: &Tally, is_body_whole: bool) -> bool {
    let is_ended = tally.has_done_mark || (is_body_whole && tally.choices.is_any());
    is_ended && tally.choices.have_all_finished()
}
