//! How the body of an answer ended on the wire.

/// How the body of an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// With everything that was announced.
    Whole,
    /// The connection closed before the announced end.
    Cut,
    /// The upstream reset the connection or stream.
    Reset,
}
