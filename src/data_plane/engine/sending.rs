//! A request's body as an upstream gets it: what the client sent, with the model's name replaced in
//! passing where the environment has one of its own.
//!
//! The edit belongs to one attempt. What is kept for a replay are the client's own bytes, and the next
//! attempt, perhaps to another environment, edits them anew.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};

use super::upload::{Reading, RequestBody, UploadError};
use crate::inspect::model_edit::{ModelEdit, Part};

/// One attempt to send a body.
pub struct Upload {
    reading: Option<Reading>,
    edited: Option<Edited>,
}

/// An edit under way.
struct Edited {
    edit: ModelEdit,
    /// The length after the edit; `None` when it shows only at the end.
    length: Option<u64>,
    ready: VecDeque<Frame<Bytes>>,
    parts: Vec<Part>,
    is_over: bool,
}

impl Upload {
    /// The body from its beginning; `None` for a request without one.
    pub fn new(body: Option<Rc<RequestBody>>, edit: Option<ModelEdit>) -> Self {
        let edit = body.as_ref().zip(edit);
        let edited = edit.map(|(body, edit)| Edited::new(body.edited_length(&edit), edit));
        Self { reading: body.map(Reading::new), edited }
    }

    /// Announces the length that an edited body has: the exact one, or none. Then HTTP/1.1 sends chunks,
    /// and HTTP/2 needs no length.
    pub fn announce(&self, headers: &mut HeaderMap, is_http2: bool) {
        self.announce_edited(headers);
        // Unasked, hyper would send no body at all with a GET.
        if !is_http2 && self.size_hint().exact().is_none() {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }

    fn announce_edited(&self, headers: &mut HeaderMap) {
        let Some(edited) = &self.edited else { return };
        match edited.length.filter(|_| headers.contains_key(CONTENT_LENGTH)) {
            Some(length) => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from(length))),
            None => drop(headers.remove(CONTENT_LENGTH)),
        }
    }
}

impl Edited {
    fn new(length: Option<u64>, edit: ModelEdit) -> Self {
        Self { edit, length, ready: VecDeque::new(), parts: Vec::new(), is_over: false }
    }

    /// Takes what the client sent.
    fn take(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(piece) => {
                self.edit.push(&piece, &mut self.parts);
                for part in self.parts.drain(..) {
                    self.ready.push_back(Frame::data(match part {
                        Part::Copy(range) => piece.slice(range),
                        Part::New(bytes) => bytes.into(),
                    }));
                }
            }
            Err(trailers) => {
                self.finish();
                self.ready.push_back(trailers);
            }
        }
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.edit.finish(&mut self.parts);
        // What is held belongs to no piece.
        let held = self.parts.drain(..).map(|part| Frame::data(part.of(&[]).to_vec().into()));
        self.ready.extend(held);
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Self { reading: Some(reading), edited } = &mut *self else { return Poll::Ready(None) };
        let frame = loop {
            let ready = edited.as_mut().and_then(|edited| edited.ready.pop_front());
            if let Some(frame) = ready {
                break frame;
            }
            match (ready!(Pin::new(&mut *reading).poll_frame(cx)), &mut *edited) {
                (Some(Ok(frame)), Some(edited)) => edited.take(frame),
                (None, Some(edited)) if !edited.is_over => edited.finish(),
                (Some(Ok(frame)), None) => break frame,
                (end, _) => {
                    if end.is_none() {
                        reading.body().note_sent(&[], true);
                    }
                    return Poll::Ready(end);
                }
            }
        };
        let is_last = self.is_end_stream();
        if let (Some(reading), Some(piece)) = (&self.reading, frame.data_ref()) {
            reading.body().note_sent(piece, is_last);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        let is_read = self.reading.as_ref().is_none_or(Body::is_end_stream);
        let is_sent =
            self.edited.as_ref().is_none_or(|edited| edited.is_over && edited.ready.is_empty());
        is_read && is_sent
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.reading, &self.edited) {
            (None, _) => SizeHint::with_exact(0),
            (Some(reading), None) => reading.size_hint(),
            (Some(_), Some(edited)) => {
                edited.length.map_or_else(SizeHint::new, SizeHint::with_exact)
            }
        }
    }
}
