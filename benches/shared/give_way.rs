//! Threads that stand for other machines: they run when nobody else wants to.
//!
//! Crowds, and the servers that crowds keep busy, have cores of their own elsewhere. Niceness is not enough
//! here: the kernel lets a nice thread finish its slice of some ms, which then show as Cyan's latency.

use std::io;

/// Has this thread give way to all others.
pub(crate) fn give_way() {
    let no_priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: a system call for this thread, which reads the struct before it returns.
    let failed = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const no_priority) };
    if failed != 0 {
        let error = io::Error::last_os_error();
        eprintln!("a crowd competes with Cyan for its cores: {error}");
    }
}
