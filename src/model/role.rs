//! What a caller of the admin API may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a token opens. A role holds everything that the ones before it hold.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything and changes nothing.
    Read,
    /// Changes what is to be changed, too.
    Operate,
}

/// Why a text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; write `read` or `operate`")]
pub struct RoleError(String);

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 2] = [Self::Read, Self::Operate];

    /// Its name in config and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = Self::ALL.into_iter().find(|role| role.label() == text);
        found.ok_or_else(|| RoleError(text.to_owned()))
    }
}
