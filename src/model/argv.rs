//! A program and its arguments, as somebody configured them.
//!
//! There is no shell: nothing in an argument is ever split, expanded or run, so that a name or a
//! version can be handed on without quoting.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most words of an argument vector.
pub const WORDS_MAX: usize = 256;
/// Most bytes of all words together; systems allow about two megabytes with the environment.
const BYTES_MAX: usize = 64 * 1024;

/// A program, as a path or a name to be found in `PATH`, and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Argv(Vec<String>);

/// Why a list of words runs nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    /// No program.
    #[error("names no program; write one and its arguments, e.g. [\"python3\", \"evaluate.py\"]")]
    Empty,
    /// A byte that ends texts in every system call.
    #[error("`{0}` has a zero byte; leave it out")]
    ZeroByte(String),
    /// Beyond a limit.
    #[error("is longer than {WORDS_MAX} words or 64 KiB; put the rest into a file")]
    TooLong,
}

impl Argv {
    /// The program.
    pub fn program(&self) -> &str {
        &self.0[0]
    }

    /// What it is given.
    pub fn arguments(&self) -> &[String] {
        &self.0[1..]
    }
}

impl TryFrom<Vec<String>> for Argv {
    type Error = ArgvError;

    fn try_from(words: Vec<String>) -> Result<Self, ArgvError> {
        if words.first().is_none_or(String::is_empty) {
            return Err(ArgvError::Empty);
        }
        if words.len() > WORDS_MAX || words.iter().map(String::len).sum::<usize>() > BYTES_MAX {
            return Err(ArgvError::TooLong);
        }
        match words.iter().find(|word| word.contains('\0')) {
            Some(word) => Err(ArgvError::ZeroByte(word.replace('\0', "\\0"))),
            None => Ok(Self(words)),
        }
    }
}

impl From<Argv> for Vec<String> {
    fn from(argv: Argv) -> Self {
        argv.0
    }
}

/// The words with spaces between them, to be read and not to be run.
impl fmt::Display for Argv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_program_and_its_arguments() {
        let argv = |words: &[&str]| {
            Argv::try_from(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
        };
        let good = argv(&["python3", "a b", ""]).unwrap();
        assert_eq!((good.program(), good.arguments().len()), ("python3", 2));
        assert_eq!(good.to_string(), "python3 a b ");
        assert_eq!(argv(&[]), Err(ArgvError::Empty));
        assert_eq!(argv(&["", "x"]), Err(ArgvError::Empty));
        assert_eq!(
            argv(&["x", "a\0b"]).unwrap_err().to_string(),
            "`a\\0b` has a zero byte; leave it out"
        );
        assert_eq!(argv(&["x"; WORDS_MAX + 1]), Err(ArgvError::TooLong));
        assert_eq!(argv(&["x".repeat(BYTES_MAX + 1).as_str()]), Err(ArgvError::TooLong));
    }
}
