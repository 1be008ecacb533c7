//! Writes the access log on a thread of its own, so that a slow disk never holds a core up.
//!
//! Cores hand over records through a bounded queue; they become text here. What does not fit into the
//! queue or onto the disk is lost and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::log_file::LogFile;
use super::recorder::Listener;
use crate::config::resolved::{AccessLogSpec, LogFormat};
use crate::metrics::exchange_record::ExchangeRecord;
use crate::metrics::record_text;

/// Records waiting for the writer. A second's worth at 8 000 requests/s.
const RECORDS_MAX: usize = 8192;
/// Text that is collected before it is written, when more records wait. A write of this size is far
/// above the cost of the call.
const BATCH_BYTES: usize = 64 * 1024;
/// How often the writer looks after its file while nothing is written.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A core's way to the log.
#[derive(Debug, Clone)]
pub struct AccessLog {
    records: SyncSender<Arc<ExchangeRecord>>,
    sample: f64,
    lost: Arc<AtomicU64>,
}

/// The writer. It ends when every `AccessLog` is gone and the last line is written.
#[derive(Debug)]
pub struct LogWriter {
    thread: JoinHandle<()>,
    reopen: Arc<AtomicBool>,
}

/// Opens the log and starts its writer.
///
/// # Errors
/// When the file cannot be opened, or the system has no thread.
pub fn start(spec: &AccessLogSpec) -> io::Result<(AccessLog, LogWriter)> {
    let (records, waiting) = sync_channel(RECORDS_MAX);
    let (lost, reopen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let desk = Desk {
        records: waiting,
        file: LogFile::open(&spec.path)?,
        format: spec.format,
        lost: Arc::clone(&lost),
        reopen: Arc::clone(&reopen),
    };
    let thread = thread::Builder::new().name("cyan-log".into()).spawn(move || desk.work())?;
    Ok((AccessLog { records, sample: spec.sample, lost }, LogWriter { thread, reopen }))
}

impl Listener for AccessLog {
    fn wants(&self, matters: bool, dice: f64) -> bool {
        matters || dice < self.sample
    }

    fn tell(&self, record: &Arc<ExchangeRecord>) {
        if self.records.try_send(Arc::clone(record)).is_err() {
            // Relaxed: a count that orders nothing, here and below.
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

impl LogWriter {
    /// Has the file opened anew before the next line, or within a second.
    pub fn reopen(&self) -> impl Fn() + Send + Sync + use<> {
        let reopen = Arc::clone(&self.reopen);
        move || reopen.store(true, Ordering::Relaxed)
    }

    /// Whether everything has been written, and nothing will come any more.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

/// What the writer works with.
struct Desk {
    records: Receiver<Arc<ExchangeRecord>>,
    file: LogFile,
    format: LogFormat,
    lost: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
}

impl Desk {
    /// Writes lines as they come: at once when none is waiting, else many in one go.
    fn work(mut self) {
        let mut lines = String::with_capacity(BATCH_BYTES);
        loop {
            let record = self.records.recv_timeout(LOOK_INTERVAL);
            self.look_after_file();
            match record {
                Ok(record) => self.collect(&record, &mut lines),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let lost = self.file.write(lines.as_bytes());
            self.lost.fetch_add(lost, Ordering::Relaxed);
            lines.clear();
        }
    }

    fn look_after_file(&mut self) {
        if self.reopen.swap(false, Ordering::Relaxed) {
            self.file.reopen();
        }
        self.file.follow(Instant::now());
    }

    /// The record and those that wait behind it, as far as a batch goes.
    fn collect(&self, first: &ExchangeRecord, lines: &mut String) {
        self.print(first, lines);
        while lines.len() < BATCH_BYTES
            && let Ok(record) = self.records.try_recv()
        {
            self.print(&record, lines);
        }
    }

    fn print(&self, record: &ExchangeRecord, lines: &mut String) {
        match self.format {
            LogFormat::Json => record_text::json(record, lines),
            LogFormat::Logfmt => record_text::logfmt(record, lines),
        }
        lines.push('\n');
    }
}
