//! HTTP/2 frames made by hand, for what no library would send. Benches use them too.

// Types and flags of RFC 9113, section 6.
/// A piece of a body.
pub const DATA: u8 = 0;
/// The head of a request or an answer.
pub const HEADERS: u8 = 1;
/// The end of a stream before its end.
pub const RST_STREAM: u8 = 3;
/// What a side asks of the other.
pub const SETTINGS: u8 = 4;
/// Asks for an answer.
pub const PING: u8 = 6;
/// Allows more bytes.
pub const WINDOW_UPDATE: u8 = 8;
/// More of a head.
pub const CONTINUATION: u8 = 9;
/// Flag: nothing follows on this stream.
pub const END_STREAM: u8 = 1;
/// Flag: the head is whole.
pub const END_HEADERS: u8 = 4;

/// What a connection begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame (RFC 9113, section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The fields of a request for `/`, in literals without indexing.
pub fn head(method: &str) -> Vec<u8> {
    [(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "test")]
        .into_iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// A literal without indexing (RFC 7541, section 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).expect("a short text"));
        field.extend(text.as_bytes());
    }
    field
}
