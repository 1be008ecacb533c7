//! Heads on their way out: what was parsed, with the exchange's edits, straight into one buffer.
//!
//! The framing headers are never copied or set by an edit: the engine writes its own, so that a head
//! cannot say anything else than what follows it.

use std::io::Write;

use super::fields::Fields;
use super::request::{RequestView, is_plain_target};
use crate::data_plane::exchange::edits::{Edit, Edits};
use crate::data_plane::exchange::head::RequestHead;
use crate::model::header_id::HeaderId;

/// Headers that an edit touches, as a rough set: a bit may stand for several.
#[derive(Default)]
struct Touched {
    removed: u64,
    twice: u64,
    has_named: bool,
}

/// Writes the head of a request, changed first for every upstream and then for this one.
pub fn request(
    out: &mut Vec<u8>,
    view: &RequestView<'_>,
    edits: [&Edits; 2],
    length: Option<usize>,
) {
    out.extend_from_slice(view.method().as_bytes());
    out.push(b' ');
    let paths = edits.iter().rev().filter_map(|edits| edits.path());
    // An impossible path leaves the old one.
    let target = paths.into_iter().find(|path| is_plain_target(path));
    out.extend_from_slice(target.unwrap_or_else(|| view.target()));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields(out, view.fields, &edits);
    if let Some(length) = length {
        number(out, "content-length", length as u64);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes header lines with edits, without the framing ones and without the empty line.
pub fn fields(out: &mut Vec<u8>, fields: Fields<'_>, edits: &[&Edits]) {
    each_field(fields, edits, |name, value| line(out, name, value));
}

/// Every name and value that the edits leave or set, without the framing ones.
pub fn each_field(fields: Fields<'_>, edits: &[&Edits], mut visit: impl FnMut(&[u8], &[u8])) {
    let touched = Touched::by(edits);
    for (id, name, value) in fields.iter() {
        let is_gone = id.is_some_and(|id| is_framing(id) || touched.removes(id, edits))
            || (touched.has_named && is_removed_by_name(name, edits));
        if !is_gone {
            visit(name, value);
        }
    }
    set_fields(edits, &touched, visit);
}

/// Writes a header line.
pub fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a header line with a number.
pub fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    // Writing into memory cannot fail.
    let _ = write!(out, "{name}: {value}\r\n");
}

/// What the edits set and add, unless a later one takes it away again.
fn set_fields(edits: &[&Edits], touched: &Touched, mut visit: impl FnMut(&[u8], &[u8])) {
    for (pass, list) in edits.iter().enumerate() {
        for (index, edit) in list.iter().enumerate() {
            let (Edit::Set(id, range) | Edit::Append(id, range)) = edit else { continue };
            let overrules = |later: &Edit| match later {
                Edit::Remove(other) | Edit::Set(other, _) => other == id,
                Edit::RemoveNamed(name) => **name == *id.name(),
                Edit::Append(..) => false,
            };
            let is_suspect = touched.has_named || touched.twice & bit(*id) != 0;
            let is_overruled = is_suspect
                && (list.iter().skip(index + 1).any(overrules)
                    || edits[pass + 1..].iter().any(|list| list.iter().any(overrules)));
            if !is_overruled && !is_framing(*id) {
                let value = list.value(range);
                visit(id.name().as_bytes(), if is_value(value) { value } else { b"" });
            }
        }
    }
}

impl Touched {
    fn by(edits: &[&Edits]) -> Self {
        let mut touched = Self::default();
        let mut seen = 0;
        for edit in edits.iter().flat_map(|edits| edits.iter()) {
            let id = match edit {
                Edit::Remove(id) | Edit::Set(id, _) => {
                    touched.removed |= bit(*id);
                    id
                }
                Edit::Append(id, _) => id,
                Edit::RemoveNamed(_) => {
                    touched.has_named = true;
                    continue;
                }
            };
            touched.twice |= seen & bit(*id);
            seen |= bit(*id);
        }
        touched
    }

    fn removes(&self, id: HeaderId, edits: &[&Edits]) -> bool {
        let removes =
            |edit: &Edit| matches!(edit, Edit::Remove(other) | Edit::Set(other, _) if *other == id);
        self.removed & bit(id) != 0 && edits.iter().any(|edits| edits.iter().any(removes))
    }
}

fn bit(id: HeaderId) -> u64 {
    1 << (id.0 % 64)
}

fn is_removed_by_name(name: &[u8], edits: &[&Edits]) -> bool {
    let names = |edit: &Edit| matches!(edit, Edit::RemoveNamed(gone) if gone.as_bytes() == name);
    edits.iter().any(|edits| edits.iter().any(names))
}

fn is_framing(id: HeaderId) -> bool {
    matches!(id, HeaderId::CONTENT_LENGTH | HeaderId::TRANSFER_ENCODING)
}

/// Whether a value cannot end its line early (RFC 9110, section 5.5).
fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::super::request::Request;
    use super::*;

    fn rendered(head: &str, first: &Edits, second: &Edits) -> String {
        let (mut request, mut bytes) = (Request::default(), head.as_bytes().to_vec());
        request.read(&mut bytes, &Names::default(), 16 * 1024);
        let mut out = Vec::new();
        let view = request.view(&bytes);
        super::request(&mut out, &view, [first, second], request.content_length);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn edits_apply_in_their_order_over_both_passes() {
        let head = "POST /a?b HTTP/1.1\r\nHost: h\r\nX-Keep: 1\r\nKeep-Alive: 5\r\nX_own: 2\r\n\
                    Cookie: c\r\nContent-Length: 2\r\n\r\n";
        let (mut first, mut second) = (Edits::default(), Edits::default());
        first.remove(HeaderId::KEEP_ALIVE);
        first.remove_named("x_own");
        first.set(HeaderId::KEEP_ALIVE, &[b"9"]);
        first.set(HeaderId::X_REQUEST_ID, &[b"a", b"b"]);
        first.append(HeaderId::SET_COOKIE, &[b"x"]);
        first.append(HeaderId::SET_COOKIE, &[b"y"]);
        second.remove(HeaderId::COOKIE);
        second.set(HeaderId::X_REQUEST_ID, &[b"later"]);
        second.set(HeaderId::HOST, &[b"other"]);
        second.set_path(&[b"/prod", b"/a?b"]);
        let expected = "POST /prod/a?b HTTP/1.1\r\nx-keep: 1\r\nkeep-alive: 9\r\nset-cookie: x\r\n\
                        set-cookie: y\r\nx-request-id: later\r\nhost: other\r\ncontent-length: 2\r\n\r\n";
        assert_eq!(rendered(head, &first, &second), expected);
    }

    #[test]
    fn an_edit_can_neither_break_the_framing_nor_end_a_line() {
        let mut edits = Edits::default();
        edits.set(HeaderId::CONTENT_LENGTH, &[b"9"]);
        edits.set(HeaderId::TRANSFER_ENCODING, &[b"chunked"]);
        edits.set(HeaderId::AUTHORIZATION, &[b"a\r\nx: y"]);
        edits.set_path(&[b"/a b"]);
        let head = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
        let expected = "GET / HTTP/1.1\r\nhost: h\r\nauthorization: \r\n\r\n";
        assert_eq!(rendered(head, &edits, &Edits::default()), expected);
    }
}
