//! What may be printed where: colour and redrawn lines on a terminal only, data to standard output,
//! everything else to standard error.

use std::borrow::Cow;
use std::io::{self, BufRead as _, IsTerminal, Write};
use std::ops::ControlFlow;

use super::exit_code;
use super::failure::Failure;
use super::wait;
use crate::model::printable::{is_printable, printable};

/// What `Terminal::paint` writes around a text.
const COLOURS: [&str; 6] = ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[34m"];

/// What the standard streams are.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the streams")]
pub struct Terminal {
    /// Colour on standard output.
    pub colour: bool,
    /// Only characters of ASCII.
    pub ascii: bool,
    /// Standard error is a terminal that understands how a line is redrawn.
    pub redraws: bool,
    /// Somebody sits there who can be asked.
    pub can_ask: bool,
}

/// The colour of an environment, or weight of a text. 16 colours only, never a background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// As it is.
    Plain,
    /// For states and totals.
    Bold,
    /// The environment called blue.
    Blue,
    /// The environment called green.
    Green,
    /// The environment called red.
    Red,
    /// Any other environment.
    Yellow,
}

impl Terminal {
    /// Looks at the standard streams, `NO_COLOR` and the locale.
    pub fn detect(ascii: bool) -> Self {
        let out = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let moves_cursor = std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb");
        Self {
            colour: out && !set("NO_COLOR") && moves_cursor,
            ascii: ascii || !locale_is_utf8(|name| std::env::var(name).ok()),
            redraws: io::stderr().is_terminal() && moves_cursor,
            can_ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// `text` in a colour, where there is one.
    pub fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Blue => "34",
            Ink::Green => "32",
            Ink::Red => "31",
            Ink::Yellow => "33",
            Ink::Plain => return text.to_owned(),
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Prints data. That nobody reads it any more, as behind `head`, changes nothing of how the verb ends:
    /// its exit code may be the answer.
    pub fn print(self, text: &str) -> Result<(), Failure> {
        self.write(text).map(drop)
    }

    /// Prints one line of many; `Break` when nobody reads any more.
    pub fn next_line(self, text: &str) -> Result<ControlFlow<()>, Failure> {
        self.write(&format!("{text}\n"))
    }

    fn write(self, text: &str) -> Result<ControlFlow<()>, Failure> {
        let text = harmless(text, self.colour);
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(Failure::unexpected(format!("cannot write the output: {error}"))),
        }
    }

    /// Prints a line of data.
    pub fn line(self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{text}\n"))
    }

    /// Prints one object as JSON on a line.
    pub fn json<T: serde::Serialize>(self, value: &T) -> Result<(), Failure> {
        self.line(&json(value)?)
    }

    /// Prints one object of many as JSON on a line; `Break` when nobody reads any more.
    pub fn next_json<T: serde::Serialize>(self, value: &T) -> Result<ControlFlow<()>, Failure> {
        self.next_line(&json(value)?)
    }

    /// Asks a question that only `y` answers with yes.
    ///
    /// # Errors
    /// Ctrl-C. Verbs stand still while somebody thinks, so it is heard on a thread of its own.
    pub fn ask(self, question: &str) -> Result<bool, Failure> {
        write_beside(&format!("{question} [y/N] "));
        let asking = || std::thread::scope(|scope| scope.spawn(|| wait(answer())).join());
        let answer = asking().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match answer {
            Ok(answer) => Ok(matches!(answer.trim(), "y" | "Y" | "yes")),
            Err(failure) if failure.exit_code == exit_code::INTERRUPTED => {
                say(""); // what the terminal has shown of the keys ends there
                let message = "stopped; nothing was changed".to_owned();
                Err(Failure { message, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }
}

/// A line from the keyboard; what cannot be read is no yes.
async fn answer() -> Result<String, Failure> {
    let reading = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.map(|_| answer).unwrap_or_default()
    });
    Ok(reading.await.unwrap_or_default())
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::unexpected(format!("cannot write JSON: {error}")))
}

/// Tells something beside the data, on a line of its own. That nobody reads it stops nothing.
pub(super) fn say(text: &str) {
    write_beside(&format!("{}\n", harmless(text, false)));
}

/// Writes to standard error as it is.
pub(super) fn write_beside(text: &str) {
    let mut beside = io::stderr().lock();
    // A line that cannot be shown is only a remark lost.
    let _ = beside.write_all(text.as_bytes()).and_then(|()| beside.flush());
}

/// The text without what a terminal obeys: much of it was written by others, as reasons and versions are.
/// Lines, tabs and our own colours stay. In JSON the escapes mean what they stand for.
fn harmless(text: &str, has_colours: bool) -> Cow<'_, str> {
    let is_harmless = |c: char| is_printable(c) || matches!(c, '\n' | '\t');
    if text.chars().all(is_harmless) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let colour = COLOURS.iter().find(|colour| has_colours && rest.starts_with(**colour));
        let length = colour.map_or(character.len_utf8(), |colour| colour.len());
        let (part, after) = rest.split_at(length);
        if colour.is_some() || is_harmless(character) {
            shown.push_str(part);
        } else {
            shown.push_str(&printable(part));
        }
        rest = after;
    }
    shown.into()
}

/// Whether the locale can show more than ASCII: the first variable that is set decides, as in POSIX.
fn locale_is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let locale = set.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_utf8_locale_gets_more_than_ascii() {
        for (lc_all, lang, utf8) in [
            (None, None, false),
            (None, Some("C"), false),
            (None, Some("en_US.UTF-8"), true),
            (Some("C.utf8"), Some("C"), true),
            (Some("C"), Some("en_US.UTF-8"), false),
            (Some(""), Some("de_DE.UTF-8"), true),
        ] {
            let variable = |name: &str| match name {
                "LC_ALL" => lc_all.map(str::to_owned),
                "LANG" => lang.map(str::to_owned),
                _ => None,
            };
            assert_eq!(locale_is_utf8(variable), utf8, "{lc_all:?} {lang:?}");
        }
    }

    #[test]
    fn nothing_that_others_wrote_reaches_the_terminal_as_a_command() {
        for (text, has_colours, shown) in [
            ("ä\n\tb", false, "ä\n\tb"),
            ("\x1b[32m▲ green\x1b[0m", true, "\x1b[32m▲ green\x1b[0m"),
            ("\x1b[32m▲ green\x1b[0m", false, "\\u001b[32m▲ green\\u001b[0m"),
            ("\x1b[2J\x1b[1;31m", true, "\\u001b[2J\\u001b[1;31m"),
            ("\x1b]0;x\x07\r\u{9b}1A", true, "\\u001b]0;x\\u0007\\u000d\\u009b1A"),
            ("safe\u{202e}", true, "safe\\u202e"),
        ] {
            assert_eq!(harmless(text, has_colours), shown, "{text:?}");
        }
        let json = json(&"\u{9b}1A\u{7f}").unwrap();
        let back: String = serde_json::from_str(&harmless(&json, false)).unwrap();
        assert_eq!(back, "\u{9b}1A\u{7f}");
    }

    #[test]
    fn every_colour_is_one_of_ours() {
        let terminal = Terminal { colour: true, ascii: false, redraws: false, can_ask: false };
        for ink in [Ink::Plain, Ink::Bold, Ink::Blue, Ink::Green, Ink::Red, Ink::Yellow] {
            let painted = terminal.paint(ink, "x");
            assert_eq!(harmless(&painted, true), painted);
        }
    }
}
