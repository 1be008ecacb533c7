//! How the start of a rollout is known again: the key that its caller gave it, and what was asked for.
//!
//! It is kept with the rollout, in the same row and by the same write, so that a start that is asked for
//! again after a crash is not made twice.

use serde::{Deserialize, Serialize};

/// The key of a call, and a digest of the whole call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartKey {
    /// The caller's token and the `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of method, path, query and body, in base64.
    pub digest: String,
}
