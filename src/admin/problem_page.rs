//! `/problems/{kind}`: the page behind the `type` of an error. Open to everybody: who was refused for
//! want of a token must be able to read why.

use super::path::Word;
use super::problem::{Problem, ProblemKind};

/// What this kind of error means and what to do.
pub(super) async fn show(Word(slug): Word) -> Result<String, Problem> {
    let kind = ProblemKind::all().find(|kind| kind.slug() == slug);
    let kind = kind.ok_or_else(|| {
        Problem::new(ProblemKind::NotFound, format!("there is no problem called `{slug}`"))
    })?;
    Ok(format!("{} (HTTP {})\n\n{}\n", kind.title(), kind.status(), kind.explanation()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    const HEADER: &str = "\
# Problems of the admin API

Every error of the [admin API](api.md) is one of these kinds; its `type` leads to a page with the same words. The
`detail` of an error says what was wrong this time.

<!-- Printed from src/admin/problem_kind.rs by: CYAN_WRITE_REFERENCE=1 cargo test --lib admin::problem_page -->

| `type` | status | title | what it means, and what to do |
|---|---|---|---|
";

    fn markdown() -> String {
        let mut text = HEADER.to_owned();
        for kind in ProblemKind::all() {
            let (slug, status) = (kind.slug(), kind.status());
            let (title, explanation) = (kind.title(), kind.explanation());
            writeln!(text, "| `/problems/{slug}` | {status} | {title} | {explanation} |")
                .expect("writing to a string cannot fail");
        }
        text
    }

    #[test]
    fn the_documentation_is_as_printed() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/problems.md");
        if std::env::var_os("CYAN_WRITE_REFERENCE").is_some() {
            std::fs::write(&path, markdown()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let remedy = "CYAN_WRITE_REFERENCE=1 cargo test --lib admin::problem_page";
        assert!(found == markdown(), "docs/reference/problems.md is stale; run {remedy}");
    }
}
