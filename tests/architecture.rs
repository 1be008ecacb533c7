//! Holds the arrows between modules, the seam of the exchange, and the header of every file.
//!
//! What Cyan decides must stay readable and testable without what carries bytes, and the planes
//! must meet only in values that are swapped and counts that are read. A rule that nobody checks is
//! broken within a month, so these are read out of the source text. The reading is simple on
//! purpose: it knows `crate::`, `super::` and line comments, and the last tests show that it finds
//! what it should.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module at the top of the crate, and what it may use. `docs/architecture.md` draws it.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("connect", &[]),
    ("metrics", &["model"]),
    ("inspect", &["model"]),
    ("judge", &["model"]),
    ("rollout", &["model", "judge"]),
    ("tls", &["model"]),
    ("link", &["model", "metrics"]),
    ("listen", &["model"]),
    ("log", &[]),
    ("data_plane", &["model", "link", "listen", "metrics", "inspect", "config", "connect", "tls"]),
    (
        "control_plane",
        &["model", "link", "metrics", "inspect", "config", "connect", "tls", "judge", "rollout"],
    ),
    (
        "admin",
        &["model", "listen", "log", "metrics", "config", "judge", "rollout", "control_plane"],
    ),
    ("otlp", &["model", "metrics", "config", "tls", "control_plane"]),
    (
        "app",
        &[
            "model",
            "link",
            "listen",
            "metrics",
            "inspect",
            "config",
            "data_plane",
            "control_plane",
            "admin",
            "otlp",
        ],
    ),
    ("demo", &["model", "config", "app"]),
    ("cli", &["model", "config", "tls", "judge", "rollout", "admin", "app", "demo", "log"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Decisions without I/O live here: another engine can carry them, and a test can drive them.
const SEAM: &[&str] = &["model", "inspect", "judge", "rollout", "data_plane/exchange"];

/// Crates that would tie a decision to one way of carrying bytes.
const CARRIERS: &[&str] = &[
    "hyper",
    "hyper_util",
    "http",
    "http_body",
    "http_body_util",
    "bytes",
    "tokio",
    "tokio_rustls",
];

#[test]
fn modules_use_only_what_lies_below_them() {
    assert_none(sources().iter().flat_map(|file| wrong_arrows(&file.path, &file.text)));
}

#[test]
fn decisions_know_nothing_of_what_carries_bytes() {
    assert_none(sources().iter().flat_map(|file| carriers(&file.path, &file.text)));
}

/// Every `unsafe` of the program, by file. Each has its argument beside it (clippy refuses one without);
/// here is why the standard library or a safe crate does not do.
const UNSAFE: &[(&str, usize, &str)] = &[
    ("cli/local_time.rs", 2, "the zone of the machine, which std does not know"),
    ("control_plane/program.rs", 2, "signals to a group of processes, which std does not send"),
    ("data_plane/descriptors.rs", 3, "the limit on descriptors, and the lowest that is free"),
    ("data_plane/socket.rs", 4, "a look at a socket that lives in the event loop, by its number"),
    ("listen/handed_over.rs", 1, "descriptors that a service manager hands over as numbers"),
];

#[test]
fn unsafe_stands_only_where_it_is_known() {
    let count = |source: &Source| {
        let code = without_comments(&source.text);
        words(&code, "unsafe").filter(|at| code[at + 6..].trim_start().starts_with('{')).count()
    };
    let found = sources().into_iter().map(|source| (count(&source), source.path));
    let found: BTreeMap<String, usize> =
        found.filter(|(count, _)| *count > 0).map(|(count, path)| (path, count)).collect();
    let known: BTreeMap<String, usize> =
        UNSAFE.iter().map(|(path, count, _)| ((*path).to_owned(), *count)).collect();
    assert_eq!(found, known);
}

#[test]
fn every_file_says_why_it_exists() {
    let silent = |file: &&Source| !file.text.starts_with("//! ");
    let sources = sources();
    let silent = sources.iter().filter(silent);
    assert_none(silent.map(|file| format!("{}:1: must begin with a `//! ` header", file.path)));
}

/// One file of `src`, by its path below `src` (`model/weight.rs`).
struct Source {
    path: String,
    text: String,
}

/// Every Rust file below `src`, in a stable order.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut open, mut found) = (vec![root.clone()], BTreeMap::new());
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the source tree") {
            let path: PathBuf = entry.expect("an entry of the source tree").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).expect("paths found below the root");
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                found.insert(below.to_string_lossy().replace('\\', "/"), text);
            }
        }
    }
    assert!(found.contains_key("lib.rs"), "no lib.rs below {}", root.display());
    found.into_iter().map(|(path, text)| Source { path, text }).collect()
}

fn assert_none(problems: impl Iterator<Item = String>) {
    let problems: Vec<String> = problems.collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Uses of a module that the file's own module may not know.
fn wrong_arrows(path: &str, text: &str) -> Vec<String> {
    let module = path.split(['/', '.']).next().expect("a split has a first part");
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("src/{path}:1: `{module}` is new; give it a line in ARROWS")];
    };
    let code = without_comments(text);
    let mut problems = climbs_out(path, &code);
    for (line, used) in uses(path, &code) {
        let known = ARROWS.iter().any(|(name, _)| *name == used);
        if known && used != module && !allowed.contains(&used.as_str()) {
            problems.push(format!("src/{path}:{line}: `{module}` must not use `{used}`"));
        }
    }
    problems
}

/// Crates below the seam that the file names.
fn carriers(path: &str, text: &str) -> Vec<String> {
    let inside =
        |part: &&str| path.starts_with(&format!("{part}/")) || path == format!("{part}.rs");
    if !SEAM.iter().any(inside) {
        return Vec::new();
    }
    let code = without_comments(text);
    let mut problems = Vec::new();
    for carrier in CARRIERS {
        for at in words(&code, carrier) {
            let (before, after) = (&code[..at], &code[at + carrier.len()..]);
            // `crate::model::bytes::` would be a module of our own.
            let own = before.strip_suffix("::").is_some_and(|path| path.ends_with(is_word));
            let imported = before.ends_with("use ") || before.ends_with("extern crate ");
            if !own && (after.starts_with("::") || imported) {
                let line = line_of(&code, at);
                problems.push(format!("src/{path}:{line}: the seam must not use `{carrier}`"));
            }
        }
    }
    problems
}

/// Modules at the top of the crate that the code names, with the line: `crate::model::X`, each of
/// `crate::{model::X, link}`, and in the binary the same with `cyan::`.
fn uses(path: &str, code: &str) -> Vec<(usize, String)> {
    let root = if path == "main.rs" { "cyan" } else { "crate" };
    let mut found = Vec::new();
    for at in words(code, root) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else { continue };
        let start = code.len() - rest.len();
        match rest.strip_prefix('{') {
            None => found.push((line_of(code, start), leading_word(rest).to_owned())),
            Some(group) => {
                let members = members(group).into_iter();
                found.extend(
                    members.map(|(offset, name)| (line_of(code, start + 1 + offset), name)),
                );
            }
        }
    }
    found
}

/// The first word of each member of a `use` group, whose opening brace has been taken off.
fn members(group: &str) -> Vec<(usize, String)> {
    let (mut depth, mut expected, mut found) = (1, true, Vec::new());
    for (offset, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => expected = true,
            _ if expected && is_word(character) => {
                found.push((offset, leading_word(&group[offset..]).to_owned()));
                expected = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// `super::` chains that leave the module at the top: arrows that `crate::` does not show.
fn climbs_out(path: &str, code: &str) -> Vec<String> {
    let depth = path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
    let mut problems = Vec::new();
    let mut inner = 0; // modules inside the file stand at its end, and one deep
    for (index, line) in code.lines().enumerate() {
        let climbed = line.matches("super::").count();
        let climbs = line.contains("super::super::") || climbed == 1;
        if climbs && climbed >= depth + inner {
            let line = index + 1;
            problems.push(format!("src/{path}:{line}: write `crate::` where `super::` ends there"));
        }
        let opens = line.trim_start().trim_start_matches("pub ").starts_with("mod ");
        inner = if opens && line.ends_with('{') { 1 } else { inner };
    }
    problems
}

/// The text with every line comment blanked; offsets and lines stay as they were. A `//` after a
/// quote or a colon is taken for part of a text, such as an address.
fn without_comments(text: &str) -> String {
    let strip = |line: &str| {
        let comment = line.match_indices("//").map(|(at, _)| at).find(|at| {
            let before = &line[..*at];
            !before.ends_with(':') && before.matches('"').count().is_multiple_of(2)
        });
        let end = comment.unwrap_or(line.len());
        format!("{}{}", &line[..end], " ".repeat(line.len() - end))
    };
    text.split('\n').map(strip).collect::<Vec<_>>().join("\n")
}

/// Where `word` stands alone, not as a part of a longer word.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !code[..*at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    })
}

fn leading_word(text: &str) -> &str {
    &text[..text.find(|character| !is_word(character)).unwrap_or(text.len())]
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn wrong_arrows_are_found_where_they_are() {
    for (path, text, expected) in [
        ("model/weight.rs", "//! X\nuse crate::link::Core;\n", "src/model/weight.rs:2: `model`"),
        (
            "data_plane/core.rs",
            "use crate::control_plane::Command;",
            "must not use `control_plane`",
        ),
        (
            "control_plane/drain.rs",
            "fn f() { crate::data_plane::go() }",
            "must not use `data_plane`",
        ),
        (
            "cli/status.rs",
            "use crate::{\n    admin::View,\n    control_plane::Command,\n};",
            ":3: `cli`",
        ),
        ("metrics/mod.rs", "use crate::{model::{a, b}, config::Config};", "must not use `config`"),
        ("main.rs", "use cyan::data_plane::Core;", "`main` must not use `data_plane`"),
        ("model/mod.rs", "use super::link::CoreLinks;", "src/model/mod.rs:1: write `crate::`"),
        (
            "model/name.rs",
            "use super::super::link::CoreLinks;",
            "src/model/name.rs:1: write `crate::`",
        ),
        ("gadgets.rs", "", "`gadgets` is new"),
    ] {
        let found = wrong_arrows(path, text);
        assert!(found.len() == 1 && found[0].contains(expected), "{path}: {found:?}");
    }
}

#[test]
fn right_arrows_are_left_alone() {
    for (path, text) in [
        ("data_plane/core.rs", "use crate::{link::CoreMessage, model::{name::Name, weight}};"),
        ("admin/mod.rs", "use crate::control_plane::command::Request;"),
        ("model/name.rs", "// as crate::data_plane does\nuse super::weight::Weight;"),
        ("link/mod.rs", "mod tests {\n    use super::*;\n}"),
        ("model/name.rs", "mod tests {\n    use super::super::weight::Weight;\n}"),
        ("config/mod.rs", "let text = \"https://crate.example\"; // crate::admin"),
    ] {
        assert_eq!(wrong_arrows(path, text), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn carriers_are_found_only_below_the_seam() {
    for (path, text, found) in [
        ("model/a.rs", "use http::HeaderMap;", 1),
        ("inspect/a.rs", "fn f(b: bytes::Bytes) {}", 1),
        ("data_plane/exchange.rs", "use tokio;", 1),
        ("data_plane/exchange/a.rs", "use hyper_util::rt::TokioIo;\nuse hyper::body;", 2),
        ("data_plane/exchange/a.rs", "// unlike hyper::Body\nlet n = x.as_bytes::<u8>();", 0),
        ("data_plane/exchange/a.rs", "use crate::model::bytes::Size;", 0),
        ("data_plane/engine.rs", "use hyper::body::Incoming;", 0),
    ] {
        assert_eq!(carriers(path, text).len(), found, "{path}: {text}");
    }
}
