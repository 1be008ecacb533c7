//! Nothing is changed unseen: before -> after first, then `y` on a terminal or `--yes`.
//!
//! `cyan rollback` alone never asks: it protects users.

use super::failure::Failure;
use super::session::Session;
use super::terminal::say;

/// What the person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Go ahead.
    Given,
    /// `--dry-run`, or no.
    Withheld,
}

/// Shows `changes`, and asks for consent where nobody gave it beforehand.
pub fn consent(session: &Session, changes: &[String]) -> Result<Consent, Failure> {
    for change in changes {
        say(change);
    }
    if session.globals.dry_run {
        say("dry run: nothing was changed");
        return Ok(Consent::Withheld);
    }
    if session.globals.yes {
        return Ok(Consent::Given);
    }
    if !session.terminal.can_ask {
        return Err(Failure::usage("this changes who serves users, and nobody is there to ask")
            .hint("repeat with --yes, or look first with --dry-run"));
    }
    if session.terminal.ask("apply?")? {
        return Ok(Consent::Given);
    }
    say("nothing was changed");
    Ok(Consent::Withheld)
}
