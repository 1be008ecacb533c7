//! Vectors: in `data` (`OpenAI`), in `embeddings` (Ollama), or in a list of their own (llama.cpp).

use crate::inspect::answer::facts::Facts;
use crate::inspect::answer::tally::Tally;
use crate::model::api::Api;

/// A vector is there, even an empty one; where vectors were asked for, the list that is to hold them.
pub fn is_spoken(facts: &Facts, tally: &Tally) -> bool {
    facts.has_vector || (tally.api == Api::Embeddings && facts.has_data)
}

/// Content is a vector with a number in it, or a text that encodes one.
pub fn read(facts: &Facts, tally: &mut Tally) {
    tally.add_content(u32::from(facts.has_content));
    tally.usage.update(&facts.usage);
}
