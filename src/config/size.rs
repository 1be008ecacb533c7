//! Sizes as a config writes them: `32MiB`, `64KiB`, or a plain number of bytes.

/// Largest size that a config may hold: 1 TiB.
pub const SIZE_MAX: u64 = 1 << 40;

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No whole number, or an unknown unit.
    #[error("`{0}` is not a size; write a whole number and a unit, e.g. 64KiB, 32MiB, 1GiB")]
    Form(String),
    /// Beyond 1 TiB.
    #[error("`{0}` is more than 1 TiB; write at most 1024GiB")]
    TooLarge(String),
}

/// The number of bytes that `text` means.
///
/// # Errors
/// When it is not of the form, or more than 1 TiB.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let bytes = match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, bytes)) => *bytes,
        None if unit.is_empty() => 1,
        None => return Err(SizeError::Form(text.to_owned())),
    };
    if count.is_empty() {
        return Err(SizeError::Form(text.to_owned()));
    }
    let size = count.parse::<u64>().ok().and_then(|count| count.checked_mul(bytes));
    size.filter(|size| *size <= SIZE_MAX).ok_or_else(|| SizeError::TooLarge(text.to_owned()))
}

/// The shortest text that [`parse`] reads as `bytes`, in binary units.
pub fn print(bytes: u64) -> String {
    let binary = UNITS.iter().take(3).find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit));
    match binary {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        for (text, bytes, printed) in [
            ("64KiB", 65_536, "64KiB"),
            ("32MiB", 33_554_432, "32MiB"),
            ("1 GiB", 1_073_741_824, "1GiB"),
            ("10MB", 10_000_000, "10000000B"),
            ("1000", 1_000, "1000B"),
            ("2048", 2_048, "2KiB"),
            ("0", 0, "0B"),
            ("1024GiB", SIZE_MAX, "1024GiB"),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(print(bytes), printed);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "-1", "1.5MiB", "32mb", "32M", "3 2B"] {
            assert_eq!(parse(text), Err(SizeError::Form(text.to_owned())), "{text}");
        }
        for text in ["1025GiB", "99999999999999999999"] {
            assert_eq!(parse(text), Err(SizeError::TooLarge(text.to_owned())), "{text}");
        }
    }
}
