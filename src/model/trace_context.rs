//! The W3C trace context of a request: the header `traceparent`.
//!
//! `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`: version, trace, the caller's span, flags.
//! What is malformed is no context at all, as the recommendation has it: whoever finds one begins a
//! trace anew (<https://www.w3.org/TR/trace-context/>, sections 3.2 and 4.3).

use std::num::{NonZeroU64, NonZeroU128};

/// Bytes of a `traceparent` of version 00.
pub const TRACEPARENT_BYTES: usize = 55;

/// Which trace a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: NonZeroU128,
    /// The caller's span; `None` in a trace that begins here.
    pub parent: Option<NonZeroU64>,
    /// Whether the caller, or who began it, wants it recorded.
    pub is_sampled: bool,
}

impl TraceContext {
    /// What a header says; `None` when it is malformed. Later versions are read as far as version 00
    /// goes.
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        let [version, trace, parent, flags] = fields(traceparent)?;
        let version = hex(version)?;
        let is_longer = traceparent.len() > TRACEPARENT_BYTES;
        if version == 0xff || (version == 0 && is_longer) {
            return None;
        }
        if is_longer && traceparent[TRACEPARENT_BYTES] != b'-' {
            return None;
        }
        Some(Self {
            trace: NonZeroU128::new(hex(trace)?)?,
            parent: Some(NonZeroU64::new(u64::try_from(hex(parent)?).ok()?)?),
            is_sampled: hex(flags)? & 1 == 1,
        })
    }

    /// The header for whoever is called next, whose caller is `span`.
    pub fn write(&self, span: u64) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], self.trace.get());
        write_hex(&mut text[36..52], span.into());
        text[54] += u8::from(self.is_sampled);
        text
    }
}

/// The four fields of version 00, at their places.
fn fields(text: &[u8]) -> Option<[&[u8]; 4]> {
    let dashes = [2, 35, 52];
    let is_in_order =
        text.len() >= TRACEPARENT_BYTES && dashes.iter().all(|dash| text[*dash] == b'-');
    is_in_order.then(|| [&text[..2], &text[3..35], &text[36..52], &text[53..55]])
}

/// Fills `digits` from the last to the first.
fn write_hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// A number of at most 32 digits, in lower case as it has to be.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written_again() {
        let context = TraceContext::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(context.trace.get(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(context.parent.map(NonZeroU64::get), Some(0xb7ad_6b71_6920_3331));
        assert!(context.is_sampled);
        assert_eq!(context.write(0xb7ad_6b71_6920_3331), GOOD.as_bytes());
        let child = context.write(0xff);
        assert_eq!(&child[36..52], b"00000000000000ff");
    }

    #[test]
    fn flags_and_later_versions_are_read_as_far_as_they_are_known() {
        for (end, is_sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let text = format!("{}{end}", &GOOD[..53]);
            let context = TraceContext::parse(text.as_bytes()).unwrap();
            assert_eq!(context.is_sampled, is_sampled, "{text}");
        }
        for later in ["cc-", "01-"] {
            let text = format!("{later}{}", &GOOD[3..]);
            assert!(TraceContext::parse(text.as_bytes()).is_some(), "{text}");
            assert!(TraceContext::parse(format!("{text}-more").as_bytes()).is_some());
            assert!(TraceContext::parse(format!("{text}.more").as_bytes()).is_none());
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        let of = |version: &str, trace: &str, parent: &str, flags: &str| {
            format!("{version}-{trace}-{parent}-{flags}")
        };
        let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for bad in [
            String::new(),
            "00".to_owned(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            of("ff", trace, parent, "01"),
            of("0g", trace, parent, "01"),
            of("00", &trace.to_uppercase(), parent, "01"),
            of("00", &"0".repeat(32), parent, "01"),
            of("00", trace, &"0".repeat(16), "01"),
            of("00", trace, "b7ad6b716920333x", "01"),
            of("00", trace, parent, "0x"),
            GOOD.replace('-', "_"),
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
