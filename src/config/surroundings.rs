//! What a config refers to outside its file: variables of the environment, other files.
//!
//! Passed in, so that reading a config is a function of its arguments and tests need no process-wide
//! environment.

use std::io;
use std::path::Path;

/// Most bytes of a config file or of a file it names; none has a reason to be larger.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where variables and files come from.
pub struct Surroundings<'a> {
    /// The value of a variable, `None` when it is not set.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file.
    pub file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Whether the program can export traces and metrics.
    pub has_otlp: bool,
}

/// Whether this program can export traces and metrics: it was built with the feature `otlp`.
pub const HAS_OTLP: bool = cfg!(feature = "otlp");

/// The content of a file on this machine.
///
/// # Errors
/// When it cannot be read, or has more than 1 MiB.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read;

    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        std::fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
        assert_eq!(read_file(&path).unwrap().len(), 1 << 20);
        std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert_eq!(read_file(&path).unwrap_err().to_string(), "it has more than 1 MiB");
    }
}
