//! What proves that a caller knows a token: the token itself, or the cookie of a browser that once did.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;

use super::caller::Caller;
use crate::config::resolved::AdminSpec;
use crate::model::environment::Secret;
use crate::model::role::Role;

/// The cookie of a browser that knew the token, and what it proves.
const COOKIE: &str = "cyan_session";
const PROOF: &[u8] = b"knew the token";
/// A month, in seconds.
const COOKIE_AGE: u32 = 30 * 24 * 3600;

/// A token as its authentication code under a key of this process: comparing codes takes the same time
/// whatever was guessed, and of whatever length.
#[derive(Debug)]
pub(super) struct Token {
    /// Who calls with it.
    pub(super) caller: Caller,
    key: hmac::Key,
    code: hmac::Tag,
    /// What a browser's cookie is made with: it opens as long as the token is the same.
    sessions: hmac::Key,
}

impl Token {
    /// Every token of this listener; none when everybody on this machine may call.
    pub(super) fn all(spec: &AdminSpec) -> Vec<Self> {
        let unnamed = spec.token.iter();
        let unnamed = unnamed.map(|secret| Self::new(secret, Caller::unnamed()));
        let named = spec.tokens.iter().map(|token| {
            let caller = Caller { role: token.role, token: Some(Arc::from(token.name.as_str())) };
            Self::new(&token.secret, caller)
        });
        unnamed.chain(named).collect()
    }

    fn new(secret: &Secret, caller: Caller) -> Self {
        let text = secret.expose().as_bytes();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the operating system has random bytes");
        let code = hmac::sign(&key, text);
        Self { caller, key, code, sessions: hmac::Key::new(hmac::HMAC_SHA256, text) }
    }

    /// Whether this is the token.
    pub(super) fn is(&self, guess: &str) -> bool {
        hmac::verify(&self.key, guess.as_bytes(), self.code.as_ref()).is_ok()
    }

    /// Whether a browser calls that knew the token.
    pub(super) fn has_session(&self, headers: &HeaderMap) -> bool {
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|cookies| cookies.split(';'));
        pairs.filter_map(|pair| pair.trim().split_once('=')).any(|(name, value)| {
            let proof = URL_SAFE_NO_PAD.decode(value).unwrap_or_default();
            name == COOKIE && hmac::verify(&self.sessions, PROOF, &proof).is_ok()
        })
    }

    /// A cookie for who knows the token: no script can read it, no other site can send it.
    pub(super) fn session(&self) -> String {
        let proof = URL_SAFE_NO_PAD.encode(hmac::sign(&self.sessions, PROOF));
        format!("{COOKIE}={proof}; HttpOnly; SameSite=Strict; Path=/; Max-Age={COOKIE_AGE}")
    }
}

impl Caller {
    /// Who needs no token, or has the one without a name.
    pub(super) const fn unnamed() -> Self {
        Self { role: Role::Operate, token: None }
    }
}
