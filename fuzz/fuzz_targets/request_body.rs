//! Reads any bytes as the body of a request: the sticky key, whether a stream is asked for, and the model's
//! name, which is replaced. Nothing depends on the pieces in which the bytes come, and of a body that is
//! JSON a parser that builds a tree says the same.
//!
//! The last two bytes of the input choose how it is cut.

#![no_main]

use std::sync::Arc;

use cyan_fuzz::inspect::asked::{Asked, AskedScan};
use cyan_fuzz::inspect::json_key::JsonKeyScan;
use cyan_fuzz::inspect::model_edit::{ModelEdit, Part};
use cyan_fuzz::model::api::Api;
use cyan_fuzz::model::model_names::{ModelNames, OwnName};
use cyan_fuzz::pieces::pieces;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;

const OWN: &str = "own \"name\"";

fuzz_target!(|input: &[u8]| {
    let Some((body, [seed, step])) = input.split_last_chunk() else { return };
    let cuttings = || -> [Vec<&[u8]>; 3] {
        [vec![body], body.chunks(1).collect(), pieces(body, *seed, *step).collect()]
    };
    let [key, bytewise, cut] = cuttings().map(|pieces| find_key(&pieces));
    assert!(key == bytewise && key == cut, "the key by pieces");
    let [edited, bytewise, cut] = cuttings().map(|pieces| edit(&pieces));
    assert!(edited == bytewise && edited == cut, "the edit by pieces");
    let hints = cuttings().map(|pieces| asked(&pieces));
    // A hint: of what is no JSON, or is mostly blanks, it may say this or that.
    let has_gap = body.windows(16).any(|window| window.trim_ascii().is_empty());
    if !has_gap && serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        assert!(hints.iter().all(|hint| *hint == hints[0]), "what is asked for, by pieces");
    }
    if let Ok(tree) = serde_json::from_slice::<Value>(body) {
        agree(&tree, body, key.as_deref(), &edited);
    }
});

fn find_key(pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let pointers: [Vec<Arc<str>>; 2] = [vec!["user".into()], vec!["meta".into(), "0".into()]];
    let mut scan = JsonKeyScan::new(pointers.iter().map(Vec::as_slice));
    for piece in pieces {
        if scan.push(piece) {
            break;
        }
    }
    scan.found().map(|(_, value)| value.to_vec())
}

fn edit(pieces: &[&[u8]]) -> Vec<u8> {
    let otherwise = Some(OwnName::new(OWN).expect("it is a name"));
    let mut edit = ModelEdit::new(Arc::new(ModelNames { otherwise, list: Vec::new().into() }));
    let length = edit.clone().length_of(pieces.iter().copied());
    let (mut out, mut parts) = (Vec::new(), Vec::new());
    for piece in pieces {
        edit.push(piece, &mut parts);
        parts.drain(..).for_each(|part: Part| out.extend_from_slice(part.of(piece)));
    }
    edit.finish(&mut parts);
    parts.iter().for_each(|part| out.extend_from_slice(part.of(&[])));
    assert_eq!(out.len(), length, "the length that the upstream is told");
    out
}

fn asked(pieces: &[&[u8]]) -> Option<Asked> {
    let mut scan = AskedScan::default();
    let last = pieces.len().saturating_sub(1);
    let mut answers = pieces
        .iter()
        .enumerate()
        .filter_map(|(index, piece)| scan.push(Api::Chat, piece, index == last));
    let answer = answers.next();
    assert_eq!(answers.next(), None, "it answers once");
    answer
}

/// What a parser that builds a tree says of the same body.
fn agree(tree: &Value, body: &[u8], key: Option<&[u8]>, edited: &[u8]) {
    let Value::Object(fields) = tree else {
        assert_eq!(edited, body, "no object, no edit");
        return;
    };
    let own: Value = serde_json::from_slice(edited).expect("an edited body is JSON as before");
    for (name, value) in fields {
        match value {
            Value::String(_) if name == "model" => {}
            _ => assert_eq!(own.get(name), Some(value), "everything else is as it was"),
        }
    }
    // Where a key stands twice a tree knows the last, and the scan takes the first.
    let is_once = memchr::memmem::find_iter(body, b"user").count() == 1;
    if let (Some(Value::String(user)), true, false) =
        (fields.get("user"), is_once, body.contains(&b'\\'))
        && !user.is_empty()
        && user.len() <= 1024
    {
        assert_eq!(key, Some(user.as_bytes()), "the key of a user");
    }
}
