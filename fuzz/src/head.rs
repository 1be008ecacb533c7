//! A request's head as the lean engine reads it: what is plain, beside the bytes it was read from.

use crate::data_plane::lean::names::Names;
use crate::data_plane::lean::request::{Found, HEAD_BYTES_MAX, Request, RequestView};

/// A buffer and the plain request that it begins with.
pub struct PlainHead {
    bytes: Vec<u8>,
    request: Request,
}

impl PlainHead {
    /// Reads the head at the beginning of `input`; `None` when it is not plain, and left to hyper.
    pub fn read(input: &[u8], names: &Names) -> Option<Self> {
        let (mut bytes, mut request) = (input.to_vec(), Request::default());
        match request.read(&mut bytes, names, HEAD_BYTES_MAX) {
            Found::Plain => Some(Self { bytes, request }),
            Found::Part | Found::NotPlain => {
                assert_eq!(bytes, input, "what is not plain stays as it came");
                None
            }
        }
    }

    /// The head.
    pub fn view(&self) -> RequestView<'_> {
        self.request.view(&self.bytes)
    }

    /// Length of the head in bytes.
    pub fn length(&self) -> usize {
        self.request.head_bytes
    }
}
