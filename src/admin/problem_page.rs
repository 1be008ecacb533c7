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
