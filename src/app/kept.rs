//! What a Cyan has kept in its state file, for who reads it while no Cyan runs.

pub use crate::control_plane::store::StoreError;
pub use crate::control_plane::store::history::{StateFile, replayable};
pub use crate::control_plane::store::recovery::{CopiedService, Recovery};
pub use crate::control_plane::store::sqlite::FILE_NAME;
