//! Whether the process has file descriptors left for more clients.
//!
//! A request in flight needs a second one, towards its upstream; probes, the admin API and the state's
//! files need some too. So accepting pauses while an eighth of them is left: who is let in can be served.
//! The number of a new descriptor tells, since the kernel gives out the lowest that is free.

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;

/// The part that is kept for everything but clients: an eighth.
const KEPT_PART: u64 = 8;
/// And at least so many.
const KEPT_MIN: u64 = 32;

/// The descriptors of the process, as one core sees them.
#[derive(Debug)]
pub struct Descriptors {
    /// From this number on they are kept.
    clients_end: RawFd,
    is_short: Cell<bool>,
}

impl Descriptors {
    /// As the system limits them now.
    pub fn of_this_process() -> Self {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is that of a live value of the type this call fills.
        let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        Self::limited_to(if asked == 0 { limit.rlim_cur } else { u64::MAX })
    }

    fn limited_to(limit: u64) -> Self {
        let kept = (limit / KEPT_PART).max(KEPT_MIN);
        let clients_end = RawFd::try_from(limit.saturating_sub(kept)).unwrap_or(RawFd::MAX);
        Self { clients_end, is_short: Cell::new(false) }
    }

    /// A client has come in with this descriptor.
    pub fn took(&self, descriptor: RawFd) {
        self.is_short.set(descriptor >= self.clients_end);
    }

    /// None was to be had.
    pub fn ran_out(&self) {
        self.is_short.set(true);
    }

    /// Whether accepting should pause.
    pub fn are_short(&self) -> bool {
        self.is_short.get()
    }

    /// Looks whether they still are.
    pub fn look_again(&self) {
        self.is_short.set(self.is_kept_part_begun());
    }

    /// Takes the lowest free descriptor for a moment.
    fn is_kept_part_begun(&self) -> bool {
        // SAFETY: no memory is touched; standard input may be closed, which is an error like any other.
        let lowest = unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 0) };
        if lowest < 0 {
            return is_exhaustion(&io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made above and nobody else knows it.
        unsafe { libc::close(lowest) };
        lowest >= self.clients_end
    }
}

/// Whether an error says that this process, or the machine, has no descriptor or no memory for one.
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_is_kept_and_a_look_finds_out_that_there_is_room_again() {
        let descriptors = Descriptors::limited_to(1 << 20);
        assert!(!descriptors.are_short());
        descriptors.took((1 << 20) * 7 / 8 - 1);
        assert!(!descriptors.are_short());
        descriptors.took((1 << 20) * 7 / 8);
        assert!(descriptors.are_short());
        descriptors.look_again();
        assert!(!descriptors.are_short(), "the lowest free one is far below by now");
        let none_left = Descriptors::limited_to(0);
        none_left.ran_out();
        none_left.look_again();
        assert!(none_left.are_short());
    }
}
