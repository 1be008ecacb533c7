//! Reads from a socket together with the time at which the kernel received the bytes.
//!
//! What arrived at an upstream before a call returned may be read long after it where the machine is
//! busy. A stamp taken in the program would then accuse the proxy of what the scheduler did.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::clock;

/// Room for the one control message that is asked for.
const CONTROL_BYTES: usize = 128;

/// Makes the kernel stamp what arrives.
pub(crate) fn stamp_arrivals(stream: &TcpStream) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: `on` lives through the call and is `length` bytes long.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            length,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Appends what has come to `buffer`; tells how much, and when the last of it came. Cancel safe.
pub(crate) async fn read(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<(usize, u64)> {
    let mut bytes = [0; 4096];
    let (count, at_ns) =
        stream.async_io(Interest::READABLE, || receive(stream.as_raw_fd(), &mut bytes)).await?;
    buffer.extend_from_slice(&bytes[..count]);
    Ok((count, at_ns))
}

fn receive(fd: libc::c_int, bytes: &mut [u8]) -> io::Result<(usize, u64)> {
    let mut control = [0_u64; CONTROL_BYTES / 8]; // aligned as a `cmsghdr` has to be
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a plain struct of numbers and pointers, for which all zeroes is an empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES;
    // SAFETY: the message points at buffers that live through the call, with their lengths.
    let count = unsafe { libc::recvmsg(fd, &raw mut message, 0) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    Ok((count, stamp(&message).unwrap_or_else(clock::now_ns)))
}

/// The kernel's stamp; the end of a stream has none.
fn stamp(message: &libc::msghdr) -> Option<u64> {
    // SAFETY: the kernel has filled in the control buffer that the message points at, with its length.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) {
        return None;
    }
    // SAFETY: a message of this type holds a `timespec`, at any alignment.
    let at = unsafe { libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned() };
    let seconds = u64::try_from(at.tv_sec).ok()?;
    Some(seconds * 1_000_000_000 + u64::try_from(at.tv_nsec).ok()?)
}
