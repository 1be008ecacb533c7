//! Reads any bytes as the head of a request and of an answer, strips them and writes them anew: what goes out
//! is one head that any reader takes for the same, without what ends here and without what only Cyan may say.

#![no_main]

use cyan_fuzz::data_plane::exchange::edits::Edits;
use cyan_fuzz::data_plane::exchange::head::{Headers, Peer};
use cyan_fuzz::data_plane::exchange::{forwarded, sanity, strip};
use cyan_fuzz::data_plane::lean::fields::{Fields, Line};
use cyan_fuzz::data_plane::lean::names::Names;
use cyan_fuzz::data_plane::lean::request::HEAD_BYTES_MAX;
use cyan_fuzz::data_plane::lean::{render, response};
use cyan_fuzz::head::PlainHead;
use cyan_fuzz::model::service::HeaderNames;
use libfuzzer_sys::fuzz_target;

/// What may stand in no head that goes out, unless it is Cyan's own.
const ENDS_HERE: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "expect",
    "forwarded",
    "x-real-ip",
    "x-forwarded-port",
];

fuzz_target!(|input: &[u8]| {
    let names = Names::default();
    request(input, &names);
    answer(input, &names);
});

fn request(input: &[u8], names: &Names) {
    let Some(head) = PlainHead::read(input, names) else { return };
    let view = head.view();
    // What Cyan adds must find room beside it, or what goes out cannot be read in the same way.
    let has_room = view.fields.iter().count() < 56 && head.length() < HEAD_BYTES_MAX - 1024;
    if !has_room || sanity::check(&view).is_err() {
        return;
    }
    let peer = Peer::new(Some([192, 0, 2, 1].into()));
    assert_eq!(forwarded::client_address(&view, &peer), peer.address, "a stranger is not believed");
    let mut edits = Edits::default();
    strip::request(&view, &peer, &HeaderNames::default(), None, &mut edits);
    forwarded::edit(&view, &peer, &mut edits);
    let mut out = Vec::new();
    render::request(&mut out, &view, [&edits, &Edits::default()], Some(3));
    let again = PlainHead::read(&out, names).expect("what goes out is plain again");
    let same = again.view();
    assert_eq!(again.length(), out.len(), "one head, and nothing behind it");
    assert_eq!(
        same.target(),
        view.target(),
        "the bytes of path and query are passed on as they are"
    );
    same.each_name(&mut |name| {
        let dashed = name.replace('_', "-");
        assert!(!ENDS_HERE.contains(&dashed.as_str()) && !dashed.starts_with("x-cyan-"), "{name}");
    });
    assert_eq!(lengths(same.fields), [b"3".to_vec()], "the engine's own length, once");
}

fn answer(input: &[u8], names: &Names) {
    let (mut bytes, mut lines): (_, Vec<Line>) = (input.to_vec(), Vec::new());
    let Ok(Some(parsed)) = response::read(&mut bytes, names, &mut lines) else { return };
    let view = parsed.view(&bytes, &lines);
    let Ok(plan) = parsed.plan(view.fields, false) else { return };
    let mut edits = Edits::default();
    strip::response(&view.fields, &HeaderNames::default(), &mut edits);
    let mut out = Vec::new();
    response::status_line(&mut out, parsed.status, b"");
    render::fields(&mut out, view.fields, &[&edits]);
    out.extend_from_slice(b"\r\n");
    let mut again = Vec::new();
    let same =
        response::read(&mut out.clone(), names, &mut again).expect("a head").expect("all of it");
    assert_eq!((same.head_bytes, same.status), (out.len(), parsed.status));
    let same = same.view(&out, &again);
    assert_eq!(lengths(same.fields), Vec::<Vec<u8>>::new(), "framing is never copied");
    same.fields.each_name(&mut |name| {
        assert!(!ENDS_HERE[..5].contains(&name) && !name.starts_with("x-cyan-"), "{name}");
    });
    drop(plan);
}

fn lengths(fields: Fields<'_>) -> Vec<Vec<u8>> {
    let of_length = |(_, name, value): (_, &[u8], &[u8])| {
        name.eq_ignore_ascii_case(b"content-length").then(|| value.to_vec())
    };
    fields.iter().filter_map(of_length).collect()
}
