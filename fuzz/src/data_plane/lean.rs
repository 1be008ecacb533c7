//! The lean engine's readers and writers of heads and chunks.

#[path = "../../../src/data_plane/lean/date.rs"]
pub mod date;
#[path = "../../../src/data_plane/lean/fields.rs"]
pub mod fields;
#[path = "../../../src/data_plane/lean/framing.rs"]
pub mod framing;
#[path = "../../../src/data_plane/lean/names.rs"]
pub mod names;
#[path = "../../../src/data_plane/lean/render.rs"]
pub mod render;
#[path = "../../../src/data_plane/lean/request.rs"]
pub mod request;
#[path = "../../../src/data_plane/lean/response.rs"]
pub mod response;
