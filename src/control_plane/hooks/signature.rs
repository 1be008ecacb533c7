//! The signature that shows a receiver who sent a notice, and when.
//!
//! HMAC-SHA256 (RFC 2104) over the time, a dot and the body: who repeats an old request cannot give it
//! a new time. `docs/reference/hooks.md` says how to verify it, and a test runs that.

use ring::hmac;

use crate::model::environment::Secret;

/// The header with the seconds of Unix time at which an attempt was made.
pub(super) const TIMESTAMP: &str = "x-cyan-timestamp";
/// The header with the signature.
pub(super) const SIGNATURE: &str = "x-cyan-signature";

/// `sha256=` and 64 hexadecimal digits.
pub(super) fn sign(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    let digits = context.sign().as_ref().iter().fold(String::new(), |mut digits, byte| {
        digits.push_str(&format!("{byte:02x}"));
        digits
    });
    format!("sha256={digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_of_time_dot_and_body() {
        // The same bytes as `printf '1700000000.{}' | openssl dgst -sha256 -hmac a-key-of-sixteen`.
        let signed = sign(&Secret::new("a-key-of-sixteen"), "1700000000", b"{}");
        assert_eq!(
            signed,
            "sha256=735b7bfd18d95f2f02ef8454328315c36d6fa99e1d1511d35588ef4b91b83710"
        );
    }
}
