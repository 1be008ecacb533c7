//! A process under test: pinned to its core, measured from outside, ended by its id.
//!
//! It must end with this process in every case: `Drop` covers success, failure and Ctrl-C, and the
//! kernel's parent-death signal covers the rest.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Kept from SIGTERM to SIGKILL.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);

/// A running process with its children (nginx has a worker below its master).
pub(crate) struct Process {
    child: Child,
}

/// CPU time of a process with all its threads and children.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuTime {
    /// On a core, to the nanosecond, from the scheduler (`/proc/PID/task/TID/schedstat`).
    pub(crate) total_ns: u64,
    /// The part in user mode in clock ticks (`/proc/PID/stat`); coarse, for the split only.
    pub(crate) user_ticks: u64,
    /// The part in the kernel.
    pub(crate) system_ticks: u64,
}

impl CpuTime {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }
}

impl Process {
    /// Starts `command` on `core` alone.
    pub(crate) fn spawn(mut command: Command, core: usize) -> io::Result<Self> {
        let set = CoreSet::of(&[core]);
        let prepare = move || {
            set.apply()?;
            // SAFETY: a plain system call without pointers, allowed between fork and exec.
            // SIGTERM, because nginx's master passes it on to its worker, which SIGKILL would not.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: `prepare` makes two system calls and neither allocates nor takes a lock.
        unsafe { command.pre_exec(prepare) };
        Ok(Self { child: command.spawn()? })
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// CPU time so far.
    pub(crate) fn cpu(&self) -> io::Result<CpuTime> {
        let mut sum = CpuTime::default();
        for pid in self.tree() {
            for task in tasks(pid)? {
                let stat = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat"))?;
                sum.total_ns += number(stat.split_whitespace().next())?;
            }
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // The name in parentheses may hold spaces; user and system time are the 12th and
            // 13th field after it (proc_pid_stat(5)).
            let mut fields = stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11);
            sum.user_ticks += number(fields.next())?;
            sum.system_ticks += number(fields.next())?;
        }
        Ok(sum)
    }

    /// Memory in KiB, shared pages divided among those that share them (PSS).
    pub(crate) fn pss_kib(&self) -> io::Result<u64> {
        let pss_of = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            number(line.and_then(|rest| rest.split_whitespace().next()))
        };
        self.tree().into_iter().map(pss_of).sum()
    }

    /// The process and its descendants.
    fn tree(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let mut at = 0;
        while let Some(&pid) = pids.get(at) {
            for task in tasks(pid).unwrap_or_default() {
                let list = fs::read_to_string(format!("/proc/{pid}/task/{task}/children"));
                let list = list.unwrap_or_default();
                pids.extend(list.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            }
            at += 1;
        }
        pids
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pids = self.tree();
        signal(pids[0], libc::SIGTERM);
        let deadline = Instant::now() + STOP_TIME_MAX;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !self.has_ended() {
            // Its id cannot have been given to another process: it has not been waited for.
            for pid in pids {
                signal(pid, libc::SIGKILL);
            }
            let _ = self.child.wait();
        }
    }
}

fn signal(pid: u32, signal: libc::c_int) {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return };
    // SAFETY: a plain system call without pointers; a process that has gone is no error here.
    unsafe { libc::kill(pid, signal) };
}

fn tasks(pid: u32) -> io::Result<Vec<u32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

fn number(text: Option<&str>) -> io::Result<u64> {
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("a file under /proc has another form than expected"))
}

/// Time that a core was not idle, in clock ticks: whose it was is not said (`/proc/stat`).
pub(crate) fn core_busy_ticks(core: usize) -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name));
    let line = line.ok_or_else(|| io::Error::other(format!("/proc/stat has no core {core}")))?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user nice system IDLE IOWAIT irq softirq steal; guest time is within user (proc_stat(5)).
    Ok(ticks.iter().take(8).sum::<u64>() - ticks.iter().skip(3).take(2).sum::<u64>())
}

/// Cores that a process may run on.
#[derive(Clone, Copy)]
pub(crate) struct CoreSet(libc::cpu_set_t);

impl CoreSet {
    /// Exactly these cores.
    pub(crate) fn of(cores: &[usize]) -> Self {
        // SAFETY: a set of bits, for which all zeroes is the empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        for &core in cores {
            // SAFETY: `CPU_SET` checks the core against the size of the set.
            unsafe { libc::CPU_SET(core, &mut set) };
        }
        Self(set)
    }

    /// The cores that this process may use at its start.
    pub(crate) fn allowed() -> io::Result<Vec<usize>> {
        let mut set = Self::of(&[]);
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: the set is `size` bytes long and lives through the call.
        if unsafe { libc::sched_getaffinity(0, size, &raw mut set.0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let size = usize::try_from(libc::CPU_SETSIZE).map_err(io::Error::other)?;
        // SAFETY: every core asked about is below the size of the set.
        Ok((0..size).filter(|&core| unsafe { libc::CPU_ISSET(core, &set.0) }).collect())
    }

    /// Restricts the calling thread, and those it starts from now on.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: the set is `size` bytes long and lives through the call.
        match unsafe { libc::sched_setaffinity(0, size, &raw const self.0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Raises the limit of open descriptors, for this process and those it starts, as far as `wanted`
/// and the hard limit allow (root may raise that too); answers what it is now.
pub(crate) fn raise_descriptor_limit(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = libc::rlimit { rlim_cur: wanted, rlim_max: wanted.max(limit.rlim_max) };
    let most = libc::rlimit { rlim_cur: wanted.min(limit.rlim_max), rlim_max: limit.rlim_max };
    for attempt in [raised, most] {
        // SAFETY: `attempt` lives through the call.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const attempt) } == 0 {
            return Ok(attempt.rlim_cur);
        }
    }
    Err(io::Error::last_os_error())
}
