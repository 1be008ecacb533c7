//! The verdict on an answer that was read: the one place where its words become one.
//!
//! The order decides. What the server says about itself comes first: an error counts although the body
//! was cut after it, or `[DONE]` follows. Then whether the answer came to its end. Only of a whole answer
//! it means something that it is filtered, without words or at its limit.

use super::dialect::Dialect;
use super::form::Form;
use super::json_walk::Progress;
use super::tally::Tally;
use crate::model::answer::FinishReason;
use crate::model::body_end::BodyEnd;
use crate::model::verdict::Verdict;

/// Whether the words of an answer are judged. Where neither the path nor the events speak of a model, an
/// answer is judged by its wholeness: an `error` in the JSON of another service is that service's affair. An
/// event that is named so is not.
/// So is the look at a response that was stored before, whose path ends in its name.
pub fn speaks(form: Form, tally: &Tally) -> bool {
    let is_stored = form == Form::Document && tally.dialect == Some(Dialect::Responses);
    tally.api.generates() || tally.has_error_event || (tally.dialect.is_some() && !is_stored)
}

/// The verdict. `document` is what the JSON came to, if the answer is a single one.
pub fn verdict(form: Form, tally: &Tally, document: Progress, end: BodyEnd) -> Verdict {
    let is_body_whole = end == BodyEnd::Whole;
    if !speaks(form, tally) {
        return if is_body_whole || tally.has_done_mark { Verdict::Complete } else { cut(end) };
    }
    let finish = tally.finish().map(|reason| reason.finish);
    if tally.has_error {
        Verdict::ErrorInBand
    } else if finish == Some(FinishReason::Aborted) {
        Verdict::AbortedByServer
    } else if !is_whole(form, tally, document, is_body_whole) {
        cut(end)
    } else if tally.has_refusal || finish == Some(FinishReason::Filtered) {
        Verdict::Filtered
    } else if is_empty(form, tally, finish) {
        Verdict::Empty
    } else if matches!(finish, Some(FinishReason::Length | FinishReason::Repetition)) {
        Verdict::Length
    } else {
        Verdict::Complete
    }
}

/// The verdict on an answer that did not come to its end.
fn cut(end: BodyEnd) -> Verdict {
    match end {
        BodyEnd::Whole | BodyEnd::Cut => Verdict::Truncated,
        BodyEnd::Reset => Verdict::AbortedByServer,
    }
}

fn is_whole(form: Form, tally: &Tally, document: Progress, is_body_whole: bool) -> bool {
    if tally.is_given_up {
        // The end may stand in what was not read: a limit of the inspection is no fault of the answer.
        return is_body_whole || tally.has_done_mark;
    }
    match (form, tally.dialect) {
        (Form::Document, _) => {
            is_body_whole && matches!(document, Progress::Complete | Progress::Nothing)
        }
        (_, Some(dialect)) => dialect.is_stream_whole(tally, is_body_whole),
        (_, None) => is_body_whole || tally.has_done_mark,
    }
}

/// Nothing was said where something had to be.
fn is_empty(form: Form, tally: &Tally, finish: Option<FinishReason>) -> bool {
    let is_silent = tally.content_events == 0 && !tally.is_without_words && !tally.is_given_up;
    // Who reached a limit and counted tokens on the way did say something, only nothing that is shown.
    let is_hidden = finish == Some(FinishReason::Length) && tally.usage.output() > Some(0);
    // What an answer in no known dialect says, nobody here can tell. Many a service has `/messages`.
    let is_foreign = match form {
        Form::Document => tally.dialect.is_none() && tally.is_filled,
        Form::EventStream | Form::Lines => tally.is_foreign(),
    };
    tally.api.generates() && is_silent && !is_hidden && !is_foreign
}
