//! The real `cyan` program on a real terminal: what it shows, as a terminal would show it.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::in_time;

/// A program at work on a terminal of its own. It ends when dropped.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Drop for Pty {
    fn drop(&mut self) {
        // An error says that it has ended by itself.
        let _ = self.child.kill();
    }
}

fn size((columns, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has rows and columns")
}

impl Pty {
    /// Runs a command line on so many columns and rows.
    pub fn cyan(line: &str, wide: (u16, u16), variables: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(wide)).expect("the system has terminals");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_cyan"));
        command.args(line.split_whitespace());
        command.env_clear();
        for (name, value) in [("LANG", "C.UTF-8"), ("USER", "ana"), ("TERM", "xterm")] {
            command.env(name, value);
        }
        variables.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let mut output = pair.master.try_clone_reader().expect("a terminal can be read");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(wide.1), cells(wide.0), 0)));
        let shown = Arc::clone(&screen);
        // Ends with the program, which closes the terminal.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().expect("nobody panics with it").process(&bytes[..count]);
            }
        });
        let keyboard = pair.master.take_writer().expect("a terminal can be written to");
        Self { master: pair.master, keyboard, child, screen }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the program reads keys");
        self.keyboard.flush().expect("the program reads keys");
    }

    /// Makes the terminal another size.
    pub fn resize(&self, wide: (u16, u16)) {
        let mut screen = self.screen.lock().expect("nobody panics with it");
        screen.screen_mut().set_size(cells(wide.1), cells(wide.0));
        self.master.resize(size(wide)).expect("a terminal changes its size");
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().expect("nobody panics with it").screen().contents()
    }

    /// Whether a program has the whole screen to itself.
    pub fn is_taken(&self) -> bool {
        self.screen.lock().expect("nobody panics with it").screen().alternate_screen()
    }

    /// Whether the first character of the first line that has these words is in colour.
    pub fn is_coloured(&self, words: &str) -> bool {
        let shown = self.screen.lock().expect("nobody panics with it");
        let screen = shown.screen();
        let (_, columns) = screen.size();
        let mut rows = screen.rows(0, columns.get()).zip(0..);
        let (text, row) = rows.find(|(row, _)| row.contains(words)).expect("the words are there");
        let before = text.split(words).next().unwrap_or_default().chars().count();
        let cell = screen.cell(row, u16::try_from(before).expect("a column"));
        cell.expect("it is on the screen").fgcolor() != vt100::Color::Default
    }

    /// Waits until the screen is as wanted; returns it.
    pub async fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let seen = tokio::time::timeout(super::DEADLINE, async {
            loop {
                let text = self.text();
                if is_so(&text) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        seen.await.unwrap_or_else(|_| panic!("not within 10 s: {what}\n{}", self.text()))
    }

    /// Waits until it has ended; its exit code.
    pub async fn code(&mut self) -> u32 {
        in_time(async {
            loop {
                if let Some(status) = self.child.try_wait().expect("it is our child") {
                    return status.exit_code();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }
}
