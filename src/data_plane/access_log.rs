//! Writes the access log on a thread of its own, so that a slow disk never holds a core up.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Lines waiting for the writer. A second's worth at 8 000 requests/s; beyond it lines are lost, and
/// counted by the core that lost them.
const LINES_MAX: usize = 8192;

/// Starts the writer. `-` is standard output. It ends when every sender is gone.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(path: &Path) -> io::Result<SyncSender<String>> {
    let output: Box<dyn Write + Send> = if path == Path::new("-") {
        Box::new(io::stdout())
    } else {
        Box::new(OpenOptions::new().create(true).append(true).open(path)?)
    };
    let (sender, receiver) = sync_channel(LINES_MAX);
    thread::Builder::new().name("cyan-log".into()).spawn(move || write(&receiver, output))?;
    Ok(sender)
}

/// Writes lines as they come, and flushes whenever none is waiting.
fn write(lines: &Receiver<String>, output: Box<dyn Write + Send>) {
    let mut output = BufWriter::new(output);
    while let Ok(line) = lines.recv() {
        let mut next = Some(line);
        while let Some(line) = next {
            // A full disk loses the line; serving goes on.
            let _ = output.write_all(line.as_bytes()).and_then(|()| output.write_all(b"\n"));
            next = lines.try_recv().ok();
        }
        let _ = output.flush();
    }
}
