//! Reads any bytes as a PROXY header: nothing panics, as many bytes are taken as the header says and no more,
//! and what is found does not depend on the pieces in which they come.
//!
//! The last byte of the input chooses where it is cut.

#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cyan_fuzz::data_plane::proxy_protocol::{self, Sender};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Where the length stands, and where the rest begins.
const LENGTH_AT: usize = 14;
const FIXED_BYTES: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((at, bytes)) = input.split_last() else { return };
    let mut left = bytes;
    let found = read(&mut left);
    let (first, second) = bytes.split_at(usize::from(*at).min(bytes.len()));
    assert_eq!(read(&mut first.chain(second)), found, "cut at {at}");
    let Some(sender) = found else { return };
    let length = u16::from_be_bytes([bytes[LENGTH_AT], bytes[LENGTH_AT + 1]]);
    assert_eq!(bytes.len() - left.len(), FIXED_BYTES + usize::from(length));
    // The lower half of byte 12 is the command, 0 for the balancer itself; byte 13 says what addresses follow.
    match (bytes[12] & 0x0f, bytes[13]) {
        (0, _) => assert_eq!(sender, Sender::Balancer),
        (_, 0x11 | 0x21) => assert!(matches!(sender, Sender::Client(_))),
        _ => assert_eq!(sender, Sender::Unknown),
    }
});

/// Who sends; `None` when the header cannot be used. Reading memory never waits.
fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Sender> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(proxy_protocol::read(stream)).poll(&mut cx) {
        Poll::Ready(read) => read.ok(),
        Poll::Pending => panic!("memory is always ready"),
    }
}
