//! Reads a reason: it is kept in the journal and shown on the terminals of others, so it is made one line.
//!
//! Made, and not asked for: nobody who goes back at night is to be refused for the form of a reason.

use serde::{Deserialize, Deserializer};

use crate::model::one_line::{REASON_CHARS_MAX, fitted};

/// A reason that may be left out.
pub(super) fn read<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    let reason = Option::<String>::deserialize(reader)?;
    Ok(reason.map(|reason| fitted(&reason, REASON_CHARS_MAX)))
}

/// A reason that has to be there.
pub(super) fn read_one<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    String::deserialize(reader).map(|reason| fitted(&reason, REASON_CHARS_MAX))
}
