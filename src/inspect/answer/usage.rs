//! Tokens as a server reports them, under the many names for them.

use super::place::Place;

/// The largest number that can be one of tokens. The longest contexts hold some ten million; this many can
/// be added up sixteen million times before a sum of 64 bits is full.
const TOKENS_MAX: u64 = 1 << 40;

/// The tokens of a usage object, or of several: the last number of each kind wins, because servers that
/// send more than one count on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Of the prompt.
    pub input: Option<u64>,
    /// Of the prompt and among `input`: from the cache.
    pub cached: Option<u64>,
    /// Of the prompt and beside `input`, with Anthropic: from the cache.
    pub cache_read: Option<u64>,
    /// Of the prompt and beside `input`, with Anthropic: put into the cache.
    pub cache_creation: Option<u64>,
    /// Generated.
    pub output: Option<u64>,
    /// Of the prompt, as the `timings` of llama-server say: worked on.
    pub timed_input: Option<u64>,
    /// Of the prompt, as the `timings` say: from the cache, beside those worked on.
    pub timed_cached: Option<u64>,
    /// Generated, as the `timings` say.
    pub timed_output: Option<u64>,
}

impl Usage {
    /// Takes the number of a place, if it is one of tokens. One beyond reason is none: it would spoil every
    /// sum that it is added to.
    pub fn take(&mut self, place: Place, number: Option<u64>) {
        let slot = match place {
            Place::InputTokens => &mut self.input,
            Place::OutputTokens => &mut self.output,
            Place::CachedTokens => &mut self.cached,
            Place::CacheReadTokens => &mut self.cache_read,
            Place::CacheCreationTokens => &mut self.cache_creation,
            Place::TimedInput => &mut self.timed_input,
            Place::TimedCached => &mut self.timed_cached,
            Place::TimedOutput => &mut self.timed_output,
            _ => return,
        };
        *slot = number.filter(|number| *number <= TOKENS_MAX).or(*slot);
    }

    /// Adds what a later event says.
    pub fn update(&mut self, later: &Self) {
        self.input = later.input.or(self.input);
        self.cached = later.cached.or(self.cached);
        self.cache_read = later.cache_read.or(self.cache_read);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.output = later.output.or(self.output);
        self.timed_input = later.timed_input.or(self.timed_input);
        self.timed_cached = later.timed_cached.or(self.timed_cached);
        self.timed_output = later.timed_output.or(self.timed_output);
    }

    /// Those of the prompt: as the usage says, else as the `timings` do.
    pub fn input(&self) -> Option<u64> {
        let timed = |worked: u64| worked.saturating_add(self.timed_cached.unwrap_or(0));
        self.input.or(self.timed_input.map(timed))
    }

    /// Generated ones: as the usage says, else as the `timings` do.
    pub fn output(&self) -> Option<u64> {
        self.output.or(self.timed_output)
    }

    /// Without the `timings`, which llama-server sends for each choice alone.
    #[must_use]
    pub fn without_timings(self) -> Self {
        Self { timed_input: None, timed_cached: None, timed_output: None, ..self }
    }
}
