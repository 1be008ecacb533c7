//! What one event says, in the words of its server: collected while it is walked through.
//!
//! Nothing is judged here. An event counts only once it is whole, so a dialect reads these facts at its
//! end, and those of an event that turns out to be no JSON are thrown away.

use super::choices::Choices;
use super::place::Place;
use super::reason::Reason;
use super::tally::Tally;
use super::usage::Usage;
use crate::model::api::Api;
use crate::model::response_id::ResponseId;

/// What one event says.
#[expect(clippy::struct_excessive_bools, reason = "facts that may come in any combination")]
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Nothing stands in it: `{}`, `[]`, `null` or `""`.
    pub is_blank: bool,
    /// Its `type`.
    pub kind: Kind,
    /// Its `object` is `response`.
    pub is_response_object: bool,
    /// Whether its `id` matters: that of a response, by which a client goes on with it.
    wants_id: bool,
    /// That `id`.
    pub id: Option<ResponseId>,
    /// The `status` of a response.
    pub status: Option<Status>,
    /// Why the model stopped, outside of choices.
    pub reason: Option<Reason>,
    /// `stop_reason` and its like were there, even without a value.
    pub has_reason: bool,
    /// `choices` was there, even if empty.
    pub has_choices: bool,
    /// What the choices say.
    pub choices: Choices,
    /// `message` with an object.
    pub has_message: bool,
    /// `response` with a text, even if empty.
    pub has_response_text: bool,
    /// Words, a tool call, a vector: something outside of choices that is not empty.
    pub has_content: bool,
    /// An item of a response's `output` is not empty.
    pub has_output: bool,
    /// The model refuses.
    pub has_refusal: bool,
    /// `data` with a list, even if empty.
    pub has_data: bool,
    /// `embedding`, even if empty.
    pub has_vector: bool,
    /// `content` with a text, even if empty.
    pub has_content_text: bool,
    /// An error that is not empty.
    pub has_error: bool,
    /// `done` of Ollama.
    pub done: Option<bool>,
    /// `index` of llama.cpp.
    pub index: u64,
    /// `stop` of llama.cpp.
    pub stop: Option<bool>,
    /// The number of an event of Responses.
    pub sequence: Option<u64>,
    /// The tokens used.
    pub usage: Usage,
    is_in_choice: bool,
    is_in_output: bool,
}

/// The `type` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// None, or one that says nothing.
    #[default]
    Other,
    /// `error`.
    Error,
    /// `ping` and its like: the server is there, its model may not be.
    Ping,
    /// `message`: a whole answer of Messages.
    Message,
    /// `message_start` of Messages.
    MessageStart,
    /// `content_block_start`, `content_block_delta` of Messages.
    Block,
    /// `message_delta` of Messages.
    MessageDelta,
    /// `message_stop` of Messages.
    MessageStop,
    /// `response.….delta`, `response.output_item.added`: where content comes in Responses.
    ResponseContent,
    /// `response.completed` and `response.incomplete`: the end in Responses.
    ResponseEnd,
    /// `response.failed`.
    ResponseFailed,
    /// Anything else of Responses.
    ResponseOther,
}

/// The `status` of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `completed`.
    Completed,
    /// `incomplete`.
    Incomplete,
    /// `failed`.
    Failed,
    /// `queued`, `in_progress`: it is being made elsewhere.
    Pending,
}

impl Facts {
    /// Nothing of an event was read; `tally` is of those before it.
    pub fn before(tally: &Tally) -> Self {
        let wants_id = tally.api == Api::Responses && tally.response_id.is_none();
        Self { wants_id, ..Self::default() }
    }

    /// An object or list begins.
    pub fn open(&mut self, place: Place) {
        match place {
            Place::Choices => self.has_choices = true,
            Place::Choice => {
                self.is_in_choice = true;
                self.choices.begin();
            }
            Place::Speech => self.choices.hear(),
            Place::Output => self.is_in_output = true,
            Place::Message => self.has_message = true,
            Place::Data => self.has_data = true,
            Place::Vector => self.has_vector = true,
            _ => {}
        }
    }

    /// An object or list ends; `is_empty` tells that nothing stood in it.
    pub fn close(&mut self, place: Place, is_empty: bool) {
        match place {
            Place::Root => self.is_blank = is_empty, // the outermost of several comes last
            Place::Choice => {
                self.is_in_choice = false;
                self.choices.end();
            }
            Place::Output => self.is_in_output = false,
            _ => {}
        }
    }

    /// An object or list, of which only this counts, is not empty.
    pub fn fill(&mut self, place: Place) {
        match place {
            Place::Error => self.has_error = true,
            _ => self.add_content(),
        }
    }

    /// A text. `word` is absent if it is too long for any word that is known.
    pub fn text(&mut self, place: Place, word: Option<&[u8]>, is_empty: bool) {
        match place {
            Place::Content
            | Place::Text
            | Place::Image
            | Place::Delta
            | Place::Response
            | Place::Block => {
                self.has_content_text |= place == Place::Content;
                self.has_response_text |= place == Place::Response;
                if !is_empty {
                    self.add_content();
                }
            }
            Place::Refusal if !is_empty => {
                self.has_refusal = true;
                self.add_content();
            }
            Place::Vector => {
                self.has_vector = true;
                self.has_content |= !is_empty;
            }
            Place::Error => self.has_error |= !is_empty,
            Place::Root => self.is_blank = is_empty,
            Place::Kind => self.kind = word.map_or(Kind::Other, Kind::of),
            Place::Id if self.wants_id => self.id = word.and_then(ResponseId::of),
            Place::Object => self.is_response_object = word == Some(b"response"),
            Place::Status => self.status = word.and_then(Status::of),
            Place::ChoiceFinish => self.choices.finish(Reason::of(word)),
            Place::Reason => {
                self.has_reason = true;
                self.reason = Reason::of(word);
            }
            _ => {}
        }
    }

    /// A number or a literal.
    pub fn bare(&mut self, place: Place, bare: &[u8]) {
        let is_true = bare == b"true";
        match place {
            Place::Nothing => {}
            Place::Error => self.has_error |= !matches!(bare, b"null" | b"false" | b"0"),
            Place::Reason => self.has_reason = true,
            Place::Root => self.is_blank = bare == b"null",
            Place::ChoiceFinish => self.choices.hear(),
            Place::Done => self.done = Some(is_true),
            Place::Stop if is_true || bare == b"false" => self.stop = Some(is_true),
            Place::StoppedLimit if is_true => self.reason = Some(Reason::LIMIT),
            Place::RootIndex => self.index = number(bare).unwrap_or(0),
            Place::Sequence => self.sequence = number(bare),
            Place::ChoiceIndex => self.choices.index(number(bare)),
            _ => self.usage.take(place, number(bare)),
        }
    }

    fn add_content(&mut self) {
        if self.is_in_choice {
            self.choices.add_content();
        } else if self.is_in_output {
            self.has_output = true;
        } else {
            self.has_content = true;
        }
    }
}

impl Kind {
    fn of(word: &[u8]) -> Self {
        match word {
            b"error" => Self::Error,
            b"ping" | b"keepalive" | b"heartbeat" => Self::Ping,
            b"message" => Self::Message,
            b"message_start" => Self::MessageStart,
            b"content_block_start" | b"content_block_delta" => Self::Block,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"response.completed" | b"response.incomplete" => Self::ResponseEnd,
            b"response.failed" => Self::ResponseFailed,
            b"response.output_item.added" => Self::ResponseContent,
            _ if !word.starts_with(b"response.") => Self::Other,
            _ if word.ends_with(b".delta") => Self::ResponseContent,
            _ => Self::ResponseOther,
        }
    }
}

impl Status {
    fn of(word: &[u8]) -> Option<Self> {
        match word {
            b"completed" => Some(Self::Completed),
            b"incomplete" => Some(Self::Incomplete),
            b"failed" => Some(Self::Failed),
            b"queued" | b"in_progress" => Some(Self::Pending),
            _ => None,
        }
    }
}

/// A whole number, if this is one.
fn number(bare: &[u8]) -> Option<u64> {
    bare.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
