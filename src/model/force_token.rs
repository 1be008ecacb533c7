//! Signed values with which a request may name its environment: `NAME.EXPIRY.SIGNATURE`.
//!
//! Whoever holds such a value may send traffic to a side that is not yet meant for everybody, so it must
//! be impossible to make without the secret, useless after its expiry (Unix seconds), and its check must
//! not tell by its duration how much of a guess was right. The signature is HMAC-SHA256 over
//! `NAME.EXPIRY`, in lower-case hexadecimal. The clock is an argument.

use std::fmt::Write as _;

use ring::hmac;

use super::name::NAME_CHARS_MAX;

/// Bytes of an HMAC-SHA256.
const SIGNATURE_BYTES: usize = 32;
/// The longest value there is: a name, 20 digits, 64 hexadecimal digits and two dots.
const VALUE_CHARS_MAX: usize = NAME_CHARS_MAX + 20 + 2 * SIGNATURE_BYTES + 2;

/// A value that names `environment` until `expiry_unix_s`.
pub fn sign(secret: &str, environment: &str, expiry_unix_s: u64) -> String {
    let mut value = format!("{environment}.{expiry_unix_s}");
    let signature = hmac::sign(&key(secret), value.as_bytes());
    value.push('.');
    for byte in signature.as_ref() {
        write!(value, "{byte:02x}").expect("writing to a string cannot fail");
    }
    value
}

/// The environment that `value` names, if it was signed with `secret` and has not expired. A value is
/// still good in the very second of its expiry. Allocates nothing beyond the key.
pub fn verify<'v>(secret: &str, value: &'v str, now_unix_s: u64) -> Option<&'v str> {
    if value.len() > VALUE_CHARS_MAX {
        return None; // before any work is done for it
    }
    let (signed, signature) = value.rsplit_once('.')?;
    let (environment, expiry) = signed.rsplit_once('.')?;
    hmac::verify(&key(secret), signed.as_bytes(), &decode(signature)?).ok()?;
    // Parsed after the signature: only what we wrote ourselves comes this far.
    let expiry: u64 = expiry.parse().ok()?;
    (now_unix_s <= expiry).then_some(environment)
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// 64 lower-case hexadecimal digits as bytes. One spelling only, so that a value cannot be varied.
fn decode(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; SIGNATURE_BYTES];
    if text.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of thirty-two characters";

    #[test]
    fn a_signed_value_names_its_environment_until_it_expires() {
        let value = sign(SECRET, "green", 1_000);
        for (now, expected) in
            [(0, Some("green")), (999, Some("green")), (1_000, Some("green")), (1_001, None)]
        {
            assert_eq!(verify(SECRET, &value, now), expected, "at {now}");
        }
    }

    #[test]
    fn the_signature_is_hmac_sha256_in_hexadecimal() {
        // The same bytes as `printf green.1000 | openssl dgst -sha256 -hmac key`.
        assert_eq!(
            sign("key", "green", 1_000),
            format!(
                "green.1000.{}",
                "945320caf63b6f3040fbd8f94de2dca9cabb33cf94f77f2ab6d9510a43870caf"
            )
        );
    }

    #[test]
    fn what_was_altered_is_refused() {
        let value = sign(SECRET, "green", 1_000);
        let (signed, signature) = value.rsplit_once('.').unwrap();
        for altered in [
            format!("blue.1000.{signature}"),
            format!("green.9999.{signature}"),
            format!("{signed}.{}", signature.to_uppercase()),
            format!("{signed}.{}", &signature[2..]),
            format!("{signed}.{signature}00"),
            format!("{signed}."),
            signed.to_owned(),
            "green".to_owned(),
            String::new(),
            "..".to_owned(),
            "x".repeat(10_000),
        ] {
            assert_eq!(verify(SECRET, &altered, 0), None, "{altered:?}");
        }
        assert_eq!(verify("another secret", &value, 0), None);
    }
}
