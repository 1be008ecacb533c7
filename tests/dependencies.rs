//! What Cyan is built of: licences that a user may ship, sources that can be checked, and each crate once.
//!
//! `deny.toml` says the same to `cargo deny`, which also knows of advisories and is run where it is
//! installed; this test needs nothing but cargo, so that nobody can forget it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than their text beside the program.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0", // the list of public authorities, which is data
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates of which the program holds two versions, and why that is so.
const TWICE: &[(&str, &str)] = &[
    ("getrandom", "ring asks for the second, and what the feature `otlp` brings for the third"),
    ("itertools", "only while building: the derive macros of OTLP's messages have an earlier one"),
    ("syn", "only while building: derive macros have not all come to the third version"),
];

struct Crates {
    packages: Vec<Value>,
    nodes: Vec<Value>,
    root: String,
}

impl Crates {
    fn read() -> Self {
        let cargo = std::env::var_os("CARGO").expect("cargo runs this test");
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu", "--all-features"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let all: Value = serde_json::from_slice(&output.stdout).expect("cargo answers in JSON");
        let list = |value: &Value| value.as_array().expect("a list").clone();
        Self {
            packages: list(&all["packages"]),
            nodes: list(&all["resolve"]["nodes"]),
            root: text(&all["resolve"]["root"]).to_owned(),
        }
    }

    fn package(&self, id: &str) -> &Value {
        self.packages.iter().find(|package| package["id"] == id).expect("every node is a package")
    }

    /// The crates that the program is linked from or built by, tests left out.
    fn shipped(&self) -> BTreeSet<&str> {
        let (mut found, mut ahead) = (BTreeSet::new(), vec![self.root.as_str()]);
        while let Some(id) = ahead.pop() {
            if !found.insert(id) {
                continue;
            }
            let node = self.nodes.iter().find(|node| node["id"] == id).expect("it is resolved");
            let uses = node["deps"].as_array().expect("a list").iter();
            let is_shipped = |used: &&Value| {
                let kinds = used["dep_kinds"].as_array().expect("a list");
                kinds.iter().any(|kind| kind["kind"] != "dev")
            };
            ahead.extend(uses.filter(is_shipped).map(|used| text(&used["pkg"])));
        }
        found
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Whether one may choose licences of the list alone. `/` is an old form of `OR`.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace(['(', ')'], " ");
    let all = expression.split(" AND ");
    // No crate has an AND inside an OR, for which parentheses would be needed.
    all.into_iter().all(|one_of| {
        let choices = one_of.split(" OR ").flat_map(|choice| choice.split('/'));
        choices.into_iter().any(|choice| LICENCES.contains(&choice.trim()))
    })
}

#[test]
fn every_licence_may_be_shipped() {
    let crates = Crates::read();
    for id in crates.shipped() {
        let package = crates.package(id);
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence), "{} is under `{licence}`; see deny.toml", package["name"]);
    }
}

#[test]
fn every_crate_comes_from_the_one_registry() {
    let crates = Crates::read();
    let sources: BTreeSet<&str> =
        crates.packages.iter().filter_map(|package| package["source"].as_str()).collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    assert!(sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
    let own = crates.packages.iter().filter(|package| package["source"].is_null());
    assert_eq!(own.count(), 1, "nothing but Cyan lies beside it");
}

#[test]
fn no_crate_is_there_twice_without_a_reason() {
    let crates = Crates::read();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for id in crates.shipped() {
        let package = crates.package(id);
        versions.entry(text(&package["name"])).or_default().insert(text(&package["version"]));
    }
    let twice: Vec<_> = versions.iter().filter(|(_, all)| all.len() > 1).collect();
    let known: Vec<&str> = TWICE.iter().map(|(name, _)| *name).collect();
    let names: Vec<&str> = twice.iter().map(|(name, _)| **name).collect();
    assert_eq!(names, known, "{twice:?}");
}

#[test]
fn expressions_are_read_as_their_authors_meant_them() {
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("none", false),
    ] {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}
