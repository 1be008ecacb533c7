//! Ids of an exchange, and what is told of it when it has ended.

use std::time::{Duration, Instant, SystemTime};

use super::Exchange;
use super::head::Headers;
use crate::metrics::exchange_record::ExchangeRecord;
use crate::model::header_id::HeaderId;
use crate::model::verdict::Verdict;

/// Longest id that is taken over from a client.
const ID_BYTES_MAX: usize = 128;

/// The id of a request: the client's own if it brought a plain one, else 32 random hexadecimal digits.
#[derive(Debug)]
pub enum RequestId {
    /// Not known yet.
    None,
    /// Made here.
    Ours([u8; 32]),
    /// Brought along.
    Theirs(Box<[u8]>),
}

impl RequestId {
    /// The id of a request, made from 128 random bits if it brings none.
    pub fn of(head: &impl Headers, high: u64, low: u64) -> Self {
        match head.first(HeaderId::X_REQUEST_ID) {
            Some(id) if is_plain(id) => Self::Theirs(id.into()),
            _ => {
                let mut id = [0; 32];
                id[..16].copy_from_slice(&hex(high));
                id[16..].copy_from_slice(&hex(low));
                Self::Ours(id)
            }
        }
    }

    /// The id as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Ours(id) => id,
            Self::Theirs(id) => id,
        }
    }

    /// Whether it was made here and the upstream has to be told.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }
}

/// An id that is safe in a header, a log and a URL.
fn is_plain(id: &[u8]) -> bool {
    !id.is_empty()
        && id.len() <= ID_BYTES_MAX
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
}

/// A number as 16 hexadecimal digits.
pub fn hex(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 16];
    for (index, byte) in number.to_be_bytes().into_iter().enumerate() {
        text[2 * index] = DIGITS[usize::from(byte >> 4)];
        text[2 * index + 1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// Digits of the largest number.
pub const DIGITS_MAX: usize = 20;

/// A number as decimal digits, at the end of `text`. (Formatting goes through heap or `fmt`, and this runs
/// once per answer.)
pub fn decimal(mut number: u64, text: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut begin = text.len();
    loop {
        begin -= 1;
        text[begin] = b"0123456789"[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            return &text[begin..];
        }
    }
}

/// The `timeout` of a `Keep-Alive` header: how long the upstream keeps an idle connection.
pub fn keep_alive_timeout(head: &impl Headers) -> Option<Duration> {
    let value = std::str::from_utf8(head.first(HeaderId::KEEP_ALIVE)?).ok()?;
    let seconds = value.split(',').find_map(|part| {
        let (name, seconds) = part.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse().ok())?
    })?;
    Some(Duration::from_secs(seconds))
}

impl Exchange {
    /// Tells whoever listens to single exchanges, if anybody does.
    pub(super) fn log(&self, verdict: Verdict, ended_at: Instant) {
        // One that began before anybody listened has not remembered what it was asked for.
        let is_known = self.service.is_none() || self.target.is_some();
        if !is_known || !self.recorder.is_logging() {
            return;
        }
        let is_plain = matches!(verdict, Verdict::Complete | Verdict::Length);
        let matters = self.is_forced || self.refused.is_some() || !is_plain;
        self.recorder.log(matters, || self.record(verdict, ended_at));
    }

    fn record(&self, verdict: Verdict, ended_at: Instant) -> ExchangeRecord {
        let service = self.service.as_ref();
        let own = self.counted_for.as_ref().or(self.environment());
        let served_by = self.environment().filter(|_| self.counted_for.is_some());
        let upstream = self.place.as_ref().and_then(|place| place.upstream.as_ref());
        let source = self.key.and_then(|key| key.source).map(|index| {
            let known = service.and_then(|s| s.sticky.sources.get(usize::from(index)));
            known.map_or_else(|| "cookie".into(), |source| source.to_string().into())
        });
        let measured = &self.measured;
        ExchangeRecord {
            ended_at: SystemTime::now(),
            request_id: String::from_utf8_lossy(self.request_id.as_bytes()).into(),
            exchange: self.unique,
            service: service.map(|s| s.name.clone()),
            environment: own.map(|e| e.name().clone()),
            served_by: served_by.map(|e| e.name().clone()),
            upstream: upstream.map(|(upstream, _)| upstream.spec.to_string().into()),
            sticky: source,
            is_forced: self.is_forced,
            is_client_retry: self.is_client_retry,
            was_replayed: self.was_replayed,
            client: self.client,
            target: self.target.clone(),
            status: self.status,
            verdict,
            refused: self.refused,
            problem: self.problem.clone(),
            is_stream: measured.is_stream,
            finish: measured.conclusion.and_then(|conclusion| conclusion.finish),
            inspection: measured.inspection,
            tokens: measured.conclusion.map(|conclusion| conclusion.tokens).unwrap_or_default(),
            connect: self.connect,
            response_head: self.head_after,
            ttft: measured.ttft(self.began),
            gap_max: measured.gap_max,
            tpot: measured.tpot(),
            total: ended_at.saturating_duration_since(self.began),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            close_code: self.close_code(),
            grpc_status: self.grpc_status,
            trace: self.trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for number in [0, 7, 10, 4_711, u64::MAX] {
            let mut text = [0; DIGITS_MAX];
            assert_eq!(decimal(number, &mut text), number.to_string().as_bytes());
        }
    }
}
