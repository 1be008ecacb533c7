//! The PROXY protocol, version 2: a balancer that passes bytes on says before them who sends them.
//!
//! What it says is believed, so it is asked only of peers that are trusted, and whoever does not say it is
//! refused: a listener has either such peers or none. Nothing is read beyond the header, since TLS or HTTP
//! begins with the next byte. (Its specification is `proxy-protocol.txt`, section 2.2. The text form, version 1,
//! is not spoken: who sends it can send this one.)

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// How every header begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Length of what stands before the addresses.
const FIXED_BYTES: usize = 16;
/// Most bytes of addresses and extensions. Balancers send a few hundred at most; the field could say 64 KiB.
const REST_BYTES_MAX: usize = 4 * 1024;

/// Who the bytes that follow are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A client at this address.
    Client(IpAddr),
    /// The balancer itself, for its health checks.
    Balancer,
    /// A client whose address the balancer does not know, or that has none on a network.
    Unknown,
}

/// Why a header cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It begins otherwise, as a request would.
    #[error("no PROXY header of version 2")]
    Absent,
    /// Neither `LOCAL` nor `PROXY`.
    #[error("unknown command {0}; expected 0 or 1")]
    Command(u8),
    /// Addresses of something else than a stream.
    #[error("unknown kind of address {0:#04x}; expected TCP over IPv4 or IPv6")]
    Kind(u8),
    /// More than a header can need.
    #[error("{0} bytes of addresses and extensions; at most {max} are read", max = REST_BYTES_MAX)]
    TooLong(usize),
    /// Its parts do not fit its length.
    #[error("its parts do not fit its length")]
    Torn,
}

/// Reads a header off the beginning of a stream. Cancelled, it leaves the stream unusable.
///
/// # Errors
/// When there is none, it cannot be used, or the stream ends before it does.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Sender> {
    let mut fixed = [0; FIXED_BYTES];
    stream.read_exact(&mut fixed).await?;
    let mut rest = vec![0; rest_bytes(&fixed).map_err(invalid)?];
    stream.read_exact(&mut rest).await?;
    sender(&fixed, &rest).map_err(invalid)
}

fn invalid(error: HeaderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// How many bytes follow the fixed part.
fn rest_bytes(fixed: &[u8; FIXED_BYTES]) -> Result<usize, HeaderError> {
    if fixed[..12] != SIGNATURE || fixed[12] >> 4 != 2 {
        return Err(HeaderError::Absent);
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > REST_BYTES_MAX { Err(HeaderError::TooLong(length)) } else { Ok(length) }
}

/// What the header says.
fn sender(fixed: &[u8; FIXED_BYTES], rest: &[u8]) -> Result<Sender, HeaderError> {
    let command = fixed[12] & 0x0f;
    let (sender, addresses) = match (command, fixed[13]) {
        // Whatever stands there is to be skipped.
        (0, _) => return Ok(Sender::Balancer),
        (1, 0x00) => return Ok(Sender::Unknown),
        (1, 0x11) => {
            let source: [u8; 4] = part(rest, 0)?;
            (Sender::Client(Ipv4Addr::from(source).into()), 12)
        }
        (1, 0x21) => {
            let source: [u8; 16] = part(rest, 0)?;
            (Sender::Client(IpAddr::from(Ipv6Addr::from(source)).to_canonical()), 36)
        }
        (1, 0x31) => (Sender::Unknown, 216),
        (1, kind) => return Err(HeaderError::Kind(kind)),
        (command, _) => return Err(HeaderError::Command(command)),
    };
    check_extensions(rest.get(addresses..).ok_or(HeaderError::Torn)?)?;
    Ok(sender)
}

/// Extensions are type, length and value. None is used here, but where they do not add up, the address before
/// them is no better.
fn check_extensions(mut rest: &[u8]) -> Result<(), HeaderError> {
    while !rest.is_empty() {
        let length: [u8; 2] = part(rest, 1)?;
        let end = 3 + usize::from(u16::from_be_bytes(length));
        rest = rest.get(end..).ok_or(HeaderError::Torn)?;
    }
    Ok(())
}

fn part<const N: usize>(bytes: &[u8], start: usize) -> Result<[u8; N], HeaderError> {
    let found = bytes.get(start..start + N).and_then(|found| found.try_into().ok());
    found.ok_or(HeaderError::Torn)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(version_and_command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version_and_command, kind], &length, rest].concat()
    }

    /// What is read, and what is left of the stream.
    fn read_all(bytes: &[u8]) -> (Result<Sender, String>, Vec<u8>) {
        let mut stream = bytes;
        let read = futures_now(read(&mut stream)).map_err(|error| error.to_string());
        (read, stream.to_vec())
    }

    /// Reading memory never waits.
    fn futures_now<F: Future>(future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(done) => done,
            std::task::Poll::Pending => panic!("memory is always ready"),
        }
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 80];

    #[test]
    fn a_header_names_the_client_and_nothing_behind_it_is_read() {
        let client = |text: &str| Ok(Sender::Client(text.parse().unwrap()));
        let v6 = |source: &str| {
            let source: Ipv6Addr = source.parse().unwrap();
            [&source.octets()[..], &[0; 20]].concat()
        };
        let with_extensions = [&V4[..], &[0x04, 0, 0], &[0x20, 0, 2, 1, 2]].concat();
        for (version_and_command, kind, rest, expected) in [
            (0x21, 0x11, V4.to_vec(), client("192.0.2.7")),
            (0x21, 0x11, with_extensions, client("192.0.2.7")),
            (0x21, 0x21, v6("2001:db8::7"), client("2001:db8::7")),
            (0x21, 0x21, v6("::ffff:192.0.2.7"), client("192.0.2.7")),
            (0x21, 0x31, vec![0; 216], Ok(Sender::Unknown)),
            (0x21, 0x00, vec![], Ok(Sender::Unknown)),
            (0x21, 0x00, vec![1, 2, 3], Ok(Sender::Unknown)),
            (0x20, 0x00, vec![], Ok(Sender::Balancer)),
            (0x20, 0x11, V4.to_vec(), Ok(Sender::Balancer)),
        ] {
            let stream = [header(version_and_command, kind, &rest), b"GET /".to_vec()].concat();
            assert_eq!(read_all(&stream), (expected, b"GET /".to_vec()), "{kind:#x}");
        }
    }

    #[test]
    fn what_is_no_header_of_version_2_is_refused() {
        for (bytes, expected) in [
            (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), HeaderError::Absent),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 1 80\r\n".to_vec(), HeaderError::Absent),
            (header(0x11, 0x11, &V4), HeaderError::Absent),
            (header(0x2f, 0x11, &V4), HeaderError::Command(15)),
            (header(0x21, 0x12, &V4), HeaderError::Kind(0x12)),
            (header(0x21, 0x11, &V4[..11]), HeaderError::Torn),
            (header(0x21, 0x21, &V4), HeaderError::Torn),
            (header(0x21, 0x11, &[&V4[..], &[1, 0]].concat()), HeaderError::Torn),
            (header(0x21, 0x11, &[&V4[..], &[1, 0, 2, 0]].concat()), HeaderError::Torn),
            (header(0x21, 0x11, &[0; REST_BYTES_MAX + 1]), HeaderError::TooLong(4097)),
        ] {
            assert_eq!(read_all(&bytes).0, Err(expected.to_string()));
        }
        assert!(read_all(&header(0x21, 0x11, &V4)[..27]).0.is_err(), "it ends too early");
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer_and_cost_no_more_than_they_say(
            tail in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let stream = [&SIGNATURE[..], &tail].concat();
            let (read, left) = read_all(&stream);
            if read.is_ok() {
                let said = usize::from(u16::from_be_bytes([tail[2], tail[3]]));
                prop_assert_eq!(left.len(), tail.len() - 4 - said);
            }
        }
    }
}
