//! Writes the access log on a thread of its own, so that a slow disk never holds a core up.
//!
//! Cores hand over records; they become text here.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use crate::metrics::exchange_record::ExchangeRecord;

/// Records waiting for the writer. A second's worth at 8 000 requests/s; beyond it they are lost, and
/// counted by the core that lost them.
const RECORDS_MAX: usize = 8192;

/// Starts the writer. `-` is standard output. It ends when every sender is gone.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(path: &Path) -> io::Result<SyncSender<ExchangeRecord>> {
    let output: Box<dyn Write + Send> = if path == Path::new("-") {
        Box::new(io::stdout())
    } else {
        Box::new(OpenOptions::new().create(true).append(true).open(path)?)
    };
    let (sender, receiver) = sync_channel(RECORDS_MAX);
    thread::Builder::new().name("cyan-log".into()).spawn(move || write(&receiver, output))?;
    Ok(sender)
}

/// Writes lines as they come, and flushes whenever none is waiting.
fn write(records: &Receiver<ExchangeRecord>, output: Box<dyn Write + Send>) {
    let mut output = BufWriter::new(output);
    while let Ok(record) = records.recv() {
        let mut next = Some(record);
        while let Some(record) = next {
            // A full disk loses the line; serving goes on.
            let _ = writeln!(output, "{}", line(&record));
            next = records.try_recv().ok();
        }
        let _ = output.flush();
    }
}

fn line(record: &ExchangeRecord) -> serde_json::Value {
    let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let since = record.ended_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    serde_json::json!({
        "at_ms": u64::try_from(since.as_millis()).unwrap_or(0),
        "request_id": record.request_id,
        "exchange": format!("{:016x}", record.exchange),
        "service": record.service,
        "environment": record.environment,
        "served_by": record.served_by,
        "upstream": record.upstream,
        "sticky": record.sticky,
        "forced": record.is_forced,
        "client": record.client,
        "method": record.target.as_ref().map(|target| &target.0),
        "path": record.target.as_ref().map(|target| &target.1),
        "status": record.status,
        "verdict": record.verdict,
        "reason": record.refused,
        "replayed": record.was_replayed,
        "response_head_ms": record.response_head.map(ms),
        "total_ms": ms(record.total),
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
    })
}
