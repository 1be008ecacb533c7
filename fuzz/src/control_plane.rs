//! What the store keeps of a service.

#[path = "../../src/control_plane/record.rs"]
pub mod record;
