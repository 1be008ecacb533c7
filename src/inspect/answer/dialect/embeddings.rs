//! Vectors: in `data` (`OpenAI`), in `embeddings` (Ollama), or in a list of their own (llama.cpp).

use crate::inspect::answer::facts::Facts;
use crate::inspect::answer::tally::Tally;

/// A vector is there, even an empty one.
pub fn is_spoken(facts: &Facts) -> bool {
    facts.has_vector
}

/// Content is a vector with a number in it, or a text that encodes one.
pub fn read(facts: &Facts, tally: &mut Tally) {
    tally.add_content(u32::from(facts.has_content));
    tally.usage.update(&facts.usage);
}
