//! Records out of a text, one JSON object per line.

use std::io::{self, BufRead, Read};

use crate::judge::record::Record;

/// A longer line is refused: a record with every reading full of hits takes a megabyte.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// One line that is not empty.
#[derive(Debug)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// What it says, or what is wrong with it.
    pub record: Result<Record, String>,
}

/// The lines of a text.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    number: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// From here on.
    pub fn new(reader: R) -> Self {
        Self { reader, number: 0, bytes: Vec::new() }
    }

    /// Reads the next line; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        self.number += 1;
        let read = (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.bytes)?;
        Ok(read > 0)
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let record = match self.read() {
                Ok(false) => return None,
                Ok(true) if self.bytes.trim_ascii().is_empty() => continue,
                Ok(true) => record(&self.bytes),
                Err(error) => Err(format!("cannot read on: {error}")),
            };
            return Some(Line { number: self.number, record });
        }
    }
}

fn record(bytes: &[u8]) -> Result<Record, String> {
    let is_cut = !bytes.ends_with(b"\n");
    if is_cut && bytes.len() as u64 == LINE_BYTES_MAX {
        return Err(format!("longer than {LINE_BYTES_MAX} bytes; a line is one record"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        // The line is ours to name, and a tagged object has lost its columns.
        let problem = text.split(" at line ").next().unwrap_or(&text);
        if error.is_eof() && is_cut {
            return format!("{problem}; the file ends within a record, remove this line");
        }
        problem.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::tick::Tick;

    #[test]
    fn empty_lines_are_passed_over_and_counted() {
        let text = "\n{\"record\":\"resume\",\"at\":7}\r\n  \n{\"record\":\"resume\",\"at\":8}";
        let lines: Vec<Line> = Lines::new(text.as_bytes()).collect();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [2, 4]);
        let second = lines[1].record.as_ref().unwrap();
        assert!(matches!(second, Record::Resume(resume) if resume.at == Tick(8)));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_without_a_false_place() {
        for (text, expected) in [
            (
                r#"{"record":"chnage","at":0}"#,
                "unknown variant `chnage`, expected one of `start`, `change`, `resume`, `tick`",
            ),
            (r#"{"record":"tick","now":1,"score":[]}"#, "unknown field `score`, expected one of "),
            (r#"{"record":"change","at":0}"#, "missing field `share`"),
            (r#"{"at":0}"#, "missing field `record`"),
            (
                r#"{"record":"change","at":0,"#,
                "EOF while parsing a value; the file ends within a record, remove this line",
            ),
            ("7", "invalid type"),
        ] {
            let line = Lines::new(text.as_bytes()).next().expect("a line");
            let error = line.record.unwrap_err();
            assert!(error.starts_with(expected) && !error.contains(" at line "), "{error}");
        }
    }
}
