//! The header lines of a head, as places in the buffer it was read into.
//!
//! Nothing is copied: a line is a few numbers. Names are put into lower case where they lie, as HTTP/2
//! and hyper have them, so that they can be compared and sent on without looking at their case again.

use super::names::Names;
use crate::data_plane::exchange::head::Headers;
use crate::model::header_id::HeaderId;

/// A part of a head. Heads are shorter than 64 KiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    start: u16,
    length: u16,
}

/// One header line.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The number of its name, if it has one.
    pub id: Option<HeaderId>,
    name: Span,
    value: Span,
}

/// All lines of a head, beside the bytes they lie in.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    lines: &'a [Line],
}

impl Span {
    /// Where `part` lies in `whole`, of which it is a slice; `None` beyond 64 KiB.
    pub fn of(part: &[u8], whole: &[u8]) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        Some(Self { start: start.try_into().ok()?, length: part.len().try_into().ok()? })
    }

    /// The first so many bytes of it.
    pub fn first(self, length: usize) -> Self {
        Self { length: self.length.min(u16::try_from(length).unwrap_or(u16::MAX)), ..self }
    }

    /// The bytes.
    pub fn of_bytes(self, whole: &[u8]) -> &[u8] {
        &whole[usize::from(self.start)..][..usize::from(self.length)]
    }
}

/// Notes the lines that a parser found in `bytes`; false when they do not lie in the first 64 KiB.
pub fn note(
    parsed: &[httparse::Header<'_>],
    bytes: &[u8],
    names: &Names,
    lines: &mut Vec<Line>,
) -> bool {
    lines.clear();
    for header in parsed {
        let name = Span::of(header.name.as_bytes(), bytes);
        // An empty value may be a slice of nowhere.
        let value = match header.value {
            [] => Some(Span::default()),
            value => Span::of(value, bytes),
        };
        let (Some(name), Some(value)) = (name, value) else { return false };
        lines.push(Line { id: names.id(header.name.as_bytes()), name, value });
    }
    true
}

/// Puts the names into lower case.
pub fn lower_names(lines: &[Line], bytes: &mut [u8]) {
    for Line { name, .. } in lines {
        let start = usize::from(name.start);
        bytes[start..start + usize::from(name.length)].make_ascii_lowercase();
    }
}

impl<'a> Fields<'a> {
    /// The lines that were noted of `bytes`.
    pub fn new(bytes: &'a [u8], lines: &'a [Line]) -> Self {
        Self { bytes, lines }
    }

    /// Every line: the number of its name, its name, its value.
    pub fn iter(self) -> impl Iterator<Item = (Option<HeaderId>, &'a [u8], &'a [u8])> {
        let bytes = self.bytes;
        let line =
            move |line: &'a Line| (line.id, line.name.of_bytes(bytes), line.value.of_bytes(bytes));
        self.lines.iter().map(line)
    }

    /// Every value of a header.
    pub fn values(self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> {
        let bytes = self.bytes;
        let of_id = self.lines.iter().filter(move |line| line.id == Some(id));
        of_id.map(move |line| line.value.of_bytes(bytes))
    }

    /// Whether a list header has this token.
    pub fn has_token(self, id: HeaderId, wanted: &[u8]) -> bool {
        let mut tokens = self.values(id).flat_map(|value| value.split(|byte| *byte == b','));
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted))
    }

    /// What `Content-Length` says: nothing, one number, or `Err` for anything else. Lines that repeat
    /// the same number count as one (RFC 9112, section 6.3).
    pub fn content_length(self) -> Result<Option<u64>, ()> {
        let mut known = None;
        for value in self.values(HeaderId::CONTENT_LENGTH) {
            let length = digits(value).ok_or(())?;
            if known.replace(length).is_some_and(|before| before != length) {
                return Err(());
            }
        }
        Ok(known)
    }
}

/// A number in digits and nothing else.
fn digits(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

impl Headers for Fields<'_> {
    fn first(&self, id: HeaderId) -> Option<&[u8]> {
        self.values(id).next()
    }

    fn each_value<'a>(&'a self, id: HeaderId, visit: &mut dyn FnMut(&'a [u8])) {
        self.values(id).for_each(visit);
    }

    fn each_name(&self, visit: &mut dyn FnMut(&str)) {
        // A name is a token, so it is ASCII. One that stands twice is told twice, which changes nothing.
        self.iter().filter_map(|(_, name, _)| std::str::from_utf8(name).ok()).for_each(visit);
    }
}
