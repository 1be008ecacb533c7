//! Who may call: the bearer token, and the guards against a browser that is made to call for others.
//!
//! Without a token the admin API listens on loopback only, where every program of this machine may call,
//! a browser included. Two tricks make a page of a stranger call through it: a request to our address
//! from another site (its `Origin` gives it away), and a host name of the stranger's that resolves to
//! 127.0.0.1, which makes page and API one origin (its `Host` gives it away). A caller with the token is
//! no such page, so names of any network are fine with it.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;

use super::problem::{Problem, ProblemKind};
use crate::config::resolved::AdminSpec;
use crate::model::listener::ListenAddress;

/// Decides about each call.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<Token>,
    /// A unix socket is out of reach for browsers.
    on_network: bool,
}

/// A token as its authentication code under a key of this process: comparing codes takes the same time
/// whatever was guessed, and of whatever length.
#[derive(Debug)]
struct Token {
    key: hmac::Key,
    code: hmac::Tag,
    /// What a browser's cookie is made with: it opens as long as the token is the same.
    sessions: hmac::Key,
}

/// The cookie of a browser that knew the token, and what it proves.
const COOKIE: &str = "cyan_session";
const PROOF: &[u8] = b"knew the token";
/// A month, in seconds.
const COOKIE_AGE: u32 = 30 * 24 * 3600;

impl Token {
    fn new(token: &str) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the operating system has random bytes");
        let code = hmac::sign(&key, token.as_bytes());
        Self { key, code, sessions: hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()) }
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|cookies| cookies.split(';'));
        pairs.filter_map(|pair| pair.trim().split_once('=')).any(|(name, value)| {
            let proof = URL_SAFE_NO_PAD.decode(value).unwrap_or_default();
            name == COOKIE && hmac::verify(&self.sessions, PROOF, &proof).is_ok()
        })
    }

    fn is(&self, guess: &str) -> bool {
        hmac::verify(&self.key, guess.as_bytes(), self.code.as_ref()).is_ok()
    }
}

impl Access {
    /// The rules of this listener.
    pub(super) fn new(spec: &AdminSpec) -> Self {
        let token = spec.token.as_ref().map(|token| Token::new(token.expose()));
        Self { token, on_network: matches!(spec.address, ListenAddress::Tcp(_)) }
    }

    /// Whether a call with these headers may go on.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        same_origin(headers)?;
        match &self.token {
            Some(token) if token.has_session(headers) => Ok(()),
            Some(token) => bearer(headers, token),
            None if self.on_network => local_host(headers),
            None => Ok(()),
        }
    }
}

impl Access {
    /// A cookie for who knows the token: no script can read it, no other site can send it.
    pub(super) fn session(&self, headers: &HeaderMap, guess: &str) -> Result<String, Problem> {
        same_origin(headers)?;
        let token = self.token.as_ref().filter(|token| token.is(guess.trim()));
        let token = token.ok_or_else(|| {
            Problem::new(ProblemKind::Unauthorized, "the token is wrong")
                .hint("it is the one in [admin] of the config")
        })?;
        let proof = URL_SAFE_NO_PAD.encode(hmac::sign(&token.sessions, PROOF));
        Ok(format!("{COOKIE}={proof}; HttpOnly; SameSite=Strict; Path=/; Max-Age={COOKIE_AGE}"))
    }
}

fn bearer(headers: &HeaderMap, token: &Token) -> Result<(), Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let guess = value.and_then(|value| value.split_once(' '));
    let detail = match guess {
        Some((scheme, guess)) if scheme.eq_ignore_ascii_case("bearer") => {
            if token.is(guess.trim()) {
                return Ok(());
            }
            "the token is wrong"
        }
        _ => "this admin API asks for a token",
    };
    Err(Problem::new(ProblemKind::Unauthorized, detail)
        .hint("send Authorization: Bearer TOKEN; on the command line, --token-file FILE"))
}

/// An `Origin` must be that of this very address. Programs send none.
fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let detail = format!("a page of `{origin}` may not use the admin API");
    Err(Problem::new(ProblemKind::ForeignOrigin, detail))
}

/// Without a token the host must be an address or `localhost`: a name could be a stranger's.
fn local_host(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = without_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    if address || name.eq_ignore_ascii_case("localhost") {
        return Ok(());
    }
    let detail =
        format!("host `{host}` is not known here; use the listener's address or localhost");
    Err(Problem::new(ProblemKind::ForeignOrigin, detail)
        .hint("with a token in [admin], every host name is accepted"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::environment::Secret;

    fn access(token: Option<&str>, address: ListenAddress) -> Access {
        Access::new(&AdminSpec { address, token: token.map(Secret::new) })
    }

    fn tcp() -> ListenAddress {
        ListenAddress::Tcp(crate::config::resolved::ADMIN_ADDRESS)
    }

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn status(access: &Access, pairs: &[(header::HeaderName, &str)]) -> u16 {
        access.check(&headers(pairs)).map_or_else(|problem| problem.status, |()| 200)
    }

    #[test]
    fn without_a_token_only_local_hosts_are_known() {
        let access = access(None, tcp());
        for (host, expected) in [
            ("127.0.0.1:9901", 200),
            ("localhost:9901", 200),
            ("LOCALHOST", 200),
            ("[::1]:9901", 200),
            ("evil.example:9901", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("", 403),
        ] {
            assert_eq!(status(&access, &[(header::HOST, host)]), expected, "{host}");
        }
        let unix = self::access(None, ListenAddress::Unix("/run/cyan.sock".into()));
        assert_eq!(status(&unix, &[(header::HOST, "anything")]), 200);
    }

    #[test]
    fn pages_of_other_sites_are_refused_even_with_the_token() {
        let open = access(None, tcp());
        let closed = access(Some("t0ken"), tcp());
        for (origin, expected) in [
            ("http://localhost:9901", 200),
            ("http://localhost:9902", 403),
            ("http://evil.example", 403),
            ("null", 403),
            ("", 403),
        ] {
            let pairs = [(header::HOST, "localhost:9901"), (header::ORIGIN, origin)];
            assert_eq!(status(&open, &pairs), expected, "{origin}");
            let [host, origin] = pairs;
            let pairs = [host, origin, (header::AUTHORIZATION, "Bearer t0ken")];
            assert_eq!(status(&closed, &pairs), expected);
        }
    }

    #[test]
    fn a_token_opens_under_any_host_name() {
        let access = access(Some("t0ken"), tcp());
        for (authorization, expected) in [
            ("Bearer t0ken", 200),
            ("bearer t0ken", 200),
            ("Bearer t0ken2", 401),
            ("Bearer ", 401),
            ("t0ken", 401),
            ("Basic t0ken", 401),
        ] {
            let pairs = [(header::HOST, "cyan:9901"), (header::AUTHORIZATION, authorization)];
            assert_eq!(status(&access, &pairs), expected, "{authorization}");
        }
        assert_eq!(status(&access, &[(header::HOST, "127.0.0.1:9901")]), 401);
    }
}
