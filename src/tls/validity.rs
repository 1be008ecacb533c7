//! From when and until when a certificate is valid.
//!
//! rustls checks the certificates of others and presents ours unseen, so that nothing else here knows
//! when ours expire. Only the way to that field is walked (RFC 5280, section 4.1); whatever is not as
//! expected is `None`, never an error: a certificate without a known end can still be served.

use crate::model::rfc3339;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`, the version, which is left out in certificates of version 1.
const VERSION: u8 = 0xa0;

/// The first second of its validity, as seconds of Unix time; `der` is the whole certificate.
pub fn not_before(der: &[u8]) -> Option<u64> {
    time(validity(der)?)
}

/// The last second of its validity, as above.
pub fn not_after(der: &[u8]) -> Option<u64> {
    time(skip(validity(der)?)?)
}

/// Two times, one after the other.
fn validity(der: &[u8]) -> Option<&[u8]> {
    let (tbs, _) = element(der, SEQUENCE)?;
    let (mut fields, _) = element(tbs, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = skip(fields)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = skip(fields)?;
    }
    element(fields, SEQUENCE).map(|(validity, _)| validity)
}

/// The time that `der` begins with.
fn time(der: &[u8]) -> Option<u64> {
    match *der.first()? {
        UTC_TIME => {
            let text = text(element(der, UTC_TIME)?.0)?;
            // RFC 5280, section 4.1.2.5.1: two digits of the year, 1950 to 2049.
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            seconds(&format!("{century}{text}"))
        }
        GENERALIZED_TIME => seconds(text(element(der, GENERALIZED_TIME)?.0)?),
        _ => None,
    }
}

/// `YYYYMMDDHHMMSSZ`, the only form that RFC 5280 allows.
fn seconds(text: &str) -> Option<u64> {
    if text.len() != 15 || !text.ends_with('Z') || !text.is_ascii() {
        return None;
    }
    let [year, month, day] = [&text[..4], &text[4..6], &text[6..8]];
    let [hour, minute, second] = [&text[8..10], &text[10..12], &text[12..14]];
    let written = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    rfc3339::parse(&written).map(|ms| ms / 1000)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What the first element of `der` holds, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Four bytes of length are far more than any certificate has.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (found == tag).then_some(rest.split_at_checked(length)?)
}

fn skip(der: &[u8]) -> Option<&[u8]> {
    element(der, *der.first()?).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time_are_read() {
        for (year, expected) in [(2031, 1_924_992_000), (2075, 3_313_526_400)] {
            let mut params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(not_after(certificate.der()), Some(expected), "{year}");
            let year_before = not_before(certificate.der()).map(|first| first + 365 * 86_400);
            assert_eq!(year_before, Some(expected), "{year}");
        }
    }

    #[test]
    fn whatever_is_no_certificate_has_no_end() {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let der = made.cert.der().to_vec();
        assert!(not_after(&der).is_some());
        for cut in 0..der.len() {
            assert_eq!(not_after(&der[..cut]), None, "cut at {cut}");
        }
        for place in 0..200.min(der.len()) {
            for byte in [0, 0x80, 0x84, 0xff] {
                let mut broken = der.clone();
                broken[place] = byte;
                let _whatever_it_says = not_after(&broken);
            }
        }
    }
}
