//! What may be printed where: colour and redrawn lines on a terminal only, data to standard output,
//! everything else to standard error.

use std::io::{self, BufRead, IsTerminal, Write};

use super::failure::Failure;

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

    /// Prints data. A reader that left ends the command quietly, as `head` expects.
    pub fn print(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                std::process::exit(i32::from(super::exit_code::DONE))
            }
            Err(error) => Err(Failure::unexpected(format!("cannot write the output: {error}"))),
        }
    }

    /// Prints a line of data.
    pub fn line(self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{text}\n"))
    }

    /// Prints one object as JSON on a line.
    pub fn json<T: serde::Serialize>(self, value: &T) -> Result<(), Failure> {
        let json = serde_json::to_string(value)
            .map_err(|error| Failure::unexpected(format!("cannot write JSON: {error}")))?;
        self.line(&json)
    }

    /// Asks a question that only `y` answers with yes.
    pub fn ask(self, question: &str) -> bool {
        eprint!("{question} [y/N] ");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }
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
}
