//! A client that leaves a large answer unread for a while, and reads it whole then.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::upstream::{LARGE_BYTES, PATTERN};

/// Time between two looks at the memory.
const LOOK: Duration = Duration::from_millis(100);
/// What one answer has left behind is gone after this long.
const SETTLE: Duration = Duration::from_secs(2);
/// The rest has to come without a longer pause.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was seen.
pub(crate) struct Stalled {
    /// Memory before it asked.
    pub(crate) before_kib: f64,
    /// The most until it began to read.
    pub(crate) most_kib: f64,
    /// Every byte came in its place.
    pub(crate) is_whole: bool,
}

/// Asks, and reads nothing for `time`. Another answer is read at once before, so that what every answer of
/// this length needs is there already.
pub(crate) fn unread(
    address: SocketAddr,
    time: Duration,
    resident_kib: impl Fn() -> io::Result<f64>,
) -> io::Result<Stalled> {
    let mut first = ask(address)?;
    let is_first_whole = is_whole(&mut first)?;
    drop(first);
    std::thread::sleep(SETTLE);
    let before_kib = resident_kib()?;
    let mut stream = ask(address)?;
    let deadline = Instant::now() + time;
    let mut most_kib = before_kib;
    while Instant::now() < deadline {
        std::thread::sleep(LOOK);
        most_kib = most_kib.max(resident_kib()?);
    }
    let is_whole = is_first_whole && is_whole(&mut stream)?;
    Ok(Stalled { before_kib, most_kib, is_whole })
}

fn ask(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n\r\n")?;
    Ok(stream)
}

fn is_whole(stream: &mut TcpStream) -> io::Result<bool> {
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    let start = loop {
        let count = stream.read(&mut buffer[kept..])?;
        kept += count;
        match memchr::memmem::find(&buffer[..kept], b"\r\n\r\n") {
            Some(at) => break at + 4,
            None if count == 0 => return Ok(false),
            None => {}
        }
    };
    let mut expected = (0..PATTERN).cycle();
    let mut is_right = |bytes: &[u8]| bytes.iter().all(|byte| expected.next() == Some(*byte));
    let mut is_whole = is_right(&buffer[start..kept]);
    let mut come = kept - start;
    while is_whole && come < LARGE_BYTES {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(false);
        }
        is_whole = is_right(&buffer[..count]);
        come += count;
    }
    Ok(is_whole && come == LARGE_BYTES)
}
