//! From a file to values: as written, as resolved, and errors that name file, line, field and remedy.

pub mod duration;
pub mod resolved;

pub use resolved::Config;
