//! Where the words of an answer stand in its JSON: one small tree for all APIs.
//!
//! Which API an event belongs to is often known only at its end (some servers write `type` last), so one
//! tree holds the keys of all of them, and the dialects read what was found. Keys that mean nothing lead
//! to [`Place::Nothing`], and all below them is skipped.

/// A place in an event that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What nobody reads.
    Nothing,
    /// The event itself.
    Root,
    /// `type`, which tells the events of Anthropic's Messages and of Responses apart.
    Kind,
    /// `object`, which tells `OpenAI`'s documents apart.
    Object,
    /// `error`: an object or a text, which says something unless it is empty.
    Error,
    /// `choices`, and one of them.
    Choices,
    /// One of the `choices`.
    Choice,
    /// `index` of a choice.
    ChoiceIndex,
    /// `finish_reason` of a choice.
    ChoiceFinish,
    /// What a model says: `delta` or `message` of a choice.
    Speech,
    /// `message`: of Ollama what the model says, of Anthropic's Messages the message that begins.
    Message,
    /// `tool_calls`.
    ToolCalls,
    /// One of the `tool_calls`.
    ToolCall,
    /// What is to be called: the name and the arguments.
    Call,
    /// `audio`.
    Audio,
    /// Words, given as text or as a list of blocks.
    Content,
    /// One block of several that make up the words.
    Block,
    /// A text that is content unless it is empty.
    Text,
    /// Images: a list, an object or a text, of which it counts that something is in it.
    Image,
    /// A text in which the model refuses.
    Refusal,
    /// `delta` of an event: a text (Responses) or an object (Anthropic's Messages).
    Delta,
    /// Why the model stopped, outside of choices.
    Reason,
    /// `response`: an object (Responses) or a text (Ollama).
    Response,
    /// `id` of an answer.
    Id,
    /// `status` of a response.
    Status,
    /// `incomplete_details` of a response.
    Incomplete,
    /// `output` of a response.
    Output,
    /// One item of the `output` of a response.
    Item,
    /// The tokens used.
    Usage,
    /// How the tokens of the prompt are made up.
    UsageDetails,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens generated.
    OutputTokens,
    /// Tokens of the prompt that came from the cache, counted among those of the prompt.
    CachedTokens,
    /// The same, but counted beside those of the prompt.
    CacheReadTokens,
    /// Tokens of the prompt that were put into the cache, counted beside those of the prompt.
    CacheCreationTokens,
    /// What llama-server measured of itself.
    Timings,
    /// Tokens of the prompt that it worked on.
    TimedInput,
    /// Tokens of the prompt that it had in its cache, beside those.
    TimedCached,
    /// Tokens that it generated.
    TimedOutput,
    /// `data`: a list of embeddings, or of anything else.
    Data,
    /// One of the `data`.
    Datum,
    /// A vector, or several: numbers, or a text that encodes them.
    Vector,
    /// `done` of Ollama.
    Done,
    /// `index` of llama.cpp's own completions.
    RootIndex,
    /// `stop` of llama.cpp's own completions.
    Stop,
    /// `stopped_limit` of older ones.
    StoppedLimit,
    /// `sequence_number` of Responses.
    Sequence,
}

impl Place {
    /// Where the value of a key stands.
    pub fn child(self, key: &[u8]) -> Self {
        match self {
            Self::Root => Self::of_event(key),
            Self::Choice => match key {
                b"index" => Self::ChoiceIndex,
                b"finish_reason" => Self::ChoiceFinish,
                b"delta" | b"message" => Self::Speech,
                b"text" => Self::Text,
                b"error" => Self::Error,
                _ => Self::Nothing,
            },
            Self::Message if key == b"usage" => Self::Usage,
            Self::Speech | Self::Message => Self::of_speech(key),
            Self::ToolCall if matches!(key, b"function" | b"custom") => Self::Call,
            Self::Call if matches!(key, b"name" | b"arguments" | b"input") => Self::Text,
            Self::Audio if matches!(key, b"data" | b"transcript") => Self::Text,
            Self::Block => match key {
                b"text" | b"name" | b"data" => Self::Text,
                b"thinking" => Self::Content,
                b"image_url" => Self::Image,
                b"refusal" => Self::Refusal,
                _ => Self::Nothing,
            },
            Self::Delta => match key {
                b"text" | b"thinking" | b"partial_json" => Self::Text,
                b"stop_reason" => Self::Reason,
                _ => Self::Nothing,
            },
            Self::Response => Self::of_response(key),
            Self::Incomplete if key == b"reason" => Self::Reason,
            Self::Item => match key {
                b"content" | b"summary" => Self::Content,
                b"name" | b"arguments" | b"input" | b"result" | b"code" => Self::Text,
                _ => Self::Nothing,
            },
            Self::Usage => Self::of_usage(key),
            Self::UsageDetails if key == b"cached_tokens" => Self::CachedTokens,
            Self::Timings => match key {
                b"prompt_n" => Self::TimedInput,
                b"cache_n" => Self::TimedCached,
                b"predicted_n" => Self::TimedOutput,
                _ => Self::Nothing,
            },
            Self::Datum if matches!(key, b"embedding" | b"embeddings") => Self::Vector,
            _ => Self::Nothing,
        }
    }

    /// Where the elements of a list stand.
    pub fn element(self) -> Self {
        match self {
            Self::Root => Self::Root, // several completions of llama.cpp in one document
            Self::Choices => Self::Choice,
            Self::ToolCalls => Self::ToolCall,
            Self::Content => Self::Block,
            Self::Output => Self::Item,
            Self::Data => Self::Datum,
            _ => Self::Nothing,
        }
    }

    /// Whether it is enough to know that an object or list here is not empty.
    pub fn only_counts_when_filled(self) -> bool {
        matches!(self, Self::Error | Self::Vector | Self::Image)
    }

    fn of_event(key: &[u8]) -> Self {
        match key {
            b"choices" => Self::Choices,
            b"type" => Self::Kind,
            b"object" => Self::Object,
            b"error" => Self::Error,
            b"delta" => Self::Delta,
            b"content_block" => Self::Block,
            b"item" => Self::Item,
            b"message" => Self::Message,
            b"content" => Self::Content,
            b"response" => Self::Response,
            b"thinking" => Self::Text,
            b"image" => Self::Image,
            b"stop_reason" | b"done_reason" | b"stop_type" => Self::Reason,
            b"prompt_eval_count" | b"tokens_evaluated" => Self::InputTokens,
            b"eval_count" | b"tokens_predicted" => Self::OutputTokens,
            b"timings" => Self::Timings,
            b"data" => Self::Data,
            b"embedding" | b"embeddings" => Self::Vector,
            b"done" => Self::Done,
            b"index" => Self::RootIndex,
            b"stop" => Self::Stop,
            b"stopped_limit" => Self::StoppedLimit,
            b"sequence_number" => Self::Sequence,
            _ => Self::of_response(key),
        }
    }

    fn of_response(key: &[u8]) -> Self {
        match key {
            b"id" => Self::Id,
            b"status" => Self::Status,
            b"error" => Self::Error,
            b"incomplete_details" => Self::Incomplete,
            b"output" => Self::Output,
            b"usage" => Self::Usage,
            _ => Self::Nothing,
        }
    }

    fn of_speech(key: &[u8]) -> Self {
        match key {
            b"content" | b"reasoning_content" | b"reasoning" | b"thinking" => Self::Content,
            b"images" => Self::Image,
            b"refusal" => Self::Refusal,
            b"tool_calls" => Self::ToolCalls,
            b"function_call" => Self::Call,
            b"audio" => Self::Audio,
            _ => Self::Nothing,
        }
    }

    fn of_usage(key: &[u8]) -> Self {
        match key {
            b"prompt_tokens" | b"input_tokens" => Self::InputTokens,
            b"completion_tokens" | b"output_tokens" => Self::OutputTokens,
            b"prompt_tokens_details" | b"input_tokens_details" => Self::UsageDetails,
            b"cache_read_input_tokens" => Self::CacheReadTokens,
            b"cache_creation_input_tokens" => Self::CacheCreationTokens,
            _ => Self::Nothing,
        }
    }
}
