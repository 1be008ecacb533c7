//! gRPC: the status that counts is in the trailers.
//!
//! HTTP says 200 to nearly everything there. A status that says the same as one of HTTP is judged like it
//! (the mapping of Google's API design guide), so that faults and refusals stay apart.

use super::Exchange;
use super::head::Headers;
use crate::model::body_end::BodyEnd;
use crate::model::header_id::HeaderId;
use crate::model::media_type::MediaType;
use crate::model::verdict::Verdict;

/// Whether an answer is one of gRPC.
pub(super) fn is_grpc(head: &impl Headers) -> bool {
    head.first(HeaderId::CONTENT_TYPE).is_some_and(|kind| MediaType::of(kind).is_grpc())
}

/// The status in trailers, or in the head of an answer that has no body.
pub(super) fn status_in(headers: &impl Headers) -> Option<u16> {
    let text = std::str::from_utf8(headers.first(HeaderId::GRPC_STATUS)?).ok()?;
    text.trim().parse().ok()
}

impl Exchange {
    /// The trailers of the answer.
    pub fn on_trailers(&mut self, trailers: &impl Headers) {
        if self.is_grpc {
            self.grpc_status = status_in(trailers).or(self.grpc_status);
        }
    }

    /// The verdict of a gRPC answer that ended so.
    pub(super) fn grpc_verdict(&self, end: BodyEnd) -> Verdict {
        match (self.grpc_status, end) {
            (Some(0), BodyEnd::Whole) => Verdict::Complete,
            // 1 is CANCELLED: the caller took it back. 4 is DEADLINE_EXCEEDED.
            (Some(1), _) => Verdict::ClientGone,
            (Some(4), _) => Verdict::Timeout,
            (Some(0) | None, BodyEnd::Whole | BodyEnd::Cut) => Verdict::Truncated,
            (Some(0) | None, BodyEnd::Reset) => Verdict::AbortedByServer,
            (Some(_), _) => Verdict::HttpError,
        }
    }

    /// The status by which the exchange is judged: HTTP's own, or the one that means the same.
    pub(super) fn judged_status(&self) -> u16 {
        match self.grpc_status {
            None | Some(0) => self.tunnel_status().unwrap_or(self.status),
            Some(status) => http_status(status),
        }
    }
}

fn http_status(grpc: u16) -> u16 {
    match grpc {
        1 => 499,          // CANCELLED
        3 | 9 | 11 => 400, // INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE
        4 => 504,          // DEADLINE_EXCEEDED
        5 => 404,          // NOT_FOUND
        6 | 10 => 409,     // ALREADY_EXISTS, ABORTED
        7 => 403,          // PERMISSION_DENIED
        8 => 429,          // RESOURCE_EXHAUSTED
        12 => 501,         // UNIMPLEMENTED
        14 => 503,         // UNAVAILABLE
        16 => 401,         // UNAUTHENTICATED
        _ => 500,          // UNKNOWN, INTERNAL, DATA_LOSS, and whatever comes
    }
}
