//! Who may call, and what: tokens and their roles, and the guards against a browser that is made to call
//! for others.
//!
//! Without a token the admin API listens on loopback only, where every program of this machine may call,
//! a browser included. Two tricks make a page of a stranger call through it: a request to our address
//! from another site (its `Origin` gives it away), and a host name of the stranger's that resolves to
//! 127.0.0.1, which makes page and API one origin (its `Host` gives it away). A caller with the token is
//! no such page, so names of any network are fine with it.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, Method, header};

use super::caller::Caller;
use super::problem::{Problem, ProblemKind};
use super::token::Token;
use crate::config::resolved::AdminSpec;
use crate::model::listener::ListenAddress;
use crate::model::role::Role;

/// Decides about each call.
#[derive(Debug)]
pub(super) struct Access {
    /// The config in force: a token that it has no more opens nothing from then on.
    in_force: Arc<ArcSwap<AdminSpec>>,
    known: ArcSwap<Known>,
    /// A unix socket is out of reach for browsers.
    on_network: bool,
}

/// The tokens of a config, as guesses are compared with them.
#[derive(Debug)]
struct Known {
    spec: Arc<AdminSpec>,
    /// None of them: every program of this machine may call.
    tokens: Vec<Token>,
}

impl Access {
    /// The rules of this listener.
    pub(super) fn new(in_force: Arc<ArcSwap<AdminSpec>>) -> Self {
        let spec = in_force.load_full();
        let on_network = matches!(spec.address, ListenAddress::Tcp(_));
        Self { known: ArcSwap::from_pointee(Known::new(spec)), in_force, on_network }
    }

    fn known(&self) -> Arc<Known> {
        let (spec, known) = (self.in_force.load(), self.known.load_full());
        if Arc::ptr_eq(&spec, &known.spec) {
            return known;
        }
        let known = Arc::new(Known::new(Arc::clone(&spec)));
        self.known.store(Arc::clone(&known));
        known
    }

    /// Who calls with these headers, if such a call may go on.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        one_host(headers)?;
        same_origin(headers)?;
        let known = self.known();
        if known.tokens.is_empty() {
            if self.on_network {
                local_host(headers)?;
            }
            return Ok(Caller::unnamed());
        }
        let in_session = known.tokens.iter().find(|token| token.has_session(headers));
        let token = in_session.map_or_else(|| known.bearer(headers), Ok)?;
        Ok(token.caller.clone())
    }

    /// Who calls, if it may call with this method: what changes nothing is for everybody.
    pub(super) fn permit(&self, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
        let caller = self.check(headers)?;
        if method.is_safe() || caller.role >= Role::Operate {
            return Ok(caller);
        }
        let detail = format!(
            "{} has the role `{}`, and {method} needs `{}`",
            caller.described(),
            caller.role,
            Role::Operate
        );
        Err(Problem::new(ProblemKind::Forbidden, detail).hint(
            "call with a token that has role = \"operate\" in the config; on the command line, --token-file FILE",
        ))
    }

    /// A cookie for who knows a token.
    pub(super) fn session(&self, headers: &HeaderMap, guess: &str) -> Result<String, Problem> {
        same_origin(headers)?;
        let known = self.known();
        let token = known.find(guess).ok_or_else(|| {
            Problem::new(ProblemKind::Unauthorized, "the token is wrong")
                .hint("it is one of those in [admin] of the config")
        })?;
        Ok(token.session())
    }
}

impl Known {
    fn new(spec: Arc<AdminSpec>) -> Self {
        Self { tokens: Token::all(&spec), spec }
    }

    fn bearer(&self, headers: &HeaderMap) -> Result<&Token, Problem> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let guess = value.and_then(|value| value.split_once(' '));
        let detail = match guess {
            Some((scheme, guess)) if scheme.eq_ignore_ascii_case("bearer") => {
                if let Some(token) = self.find(guess) {
                    return Ok(token);
                }
                "the token is wrong"
            }
            _ => "this admin API asks for a token",
        };
        Err(Problem::new(ProblemKind::Unauthorized, detail)
            .hint("send Authorization: Bearer TOKEN; on the command line, --token-file FILE"))
    }

    fn find(&self, guess: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.is(guess.trim()))
    }
}

/// RFC 9112, section 3.2: of two hosts nobody can say which is meant, whoever calls.
fn one_host(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get_all(header::HOST).iter().nth(1).is_none() {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::BadRequest, "more than one `Host`; send the one that is meant"))
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
    use crate::config::resolved::NamedToken;
    use crate::model::environment::Secret;
    use crate::model::name::Name;

    fn access(token: Option<&str>, address: ListenAddress) -> Access {
        with_tokens(address, token, vec![])
    }

    fn with_tokens(address: ListenAddress, token: Option<&str>, tokens: Vec<NamedToken>) -> Access {
        let token = token.map(Secret::new);
        let spec = AdminSpec { address, public_url: None, token, tokens };
        Access::new(Arc::new(ArcSwap::from_pointee(spec)))
    }

    fn tcp() -> ListenAddress {
        ListenAddress::Tcp(crate::config::resolved::ADMIN_ADDRESS)
    }

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn status(access: &Access, pairs: &[(header::HeaderName, &str)]) -> u16 {
        access.check(&headers(pairs)).map_or_else(|problem| problem.status, |_| 200)
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
    fn two_hosts_are_refused_even_with_the_token() {
        let access = access(Some("t0ken"), tcp());
        let mut both = headers(&[(header::AUTHORIZATION, "Bearer t0ken")]);
        for host in ["a.example", "b.example"] {
            both.append(header::HOST, host.parse().unwrap());
        }
        assert_eq!(access.check(&both).map_err(|problem| problem.status).err(), Some(400));
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

    #[test]
    fn a_token_that_reads_changes_nothing() {
        let named = |name: &str, role| NamedToken {
            name: Name::new(name).unwrap(),
            role,
            secret: Secret::new(&format!("{name}-token")),
        };
        let tokens = vec![named("grafana", Role::Read), named("ci", Role::Operate)];
        let access = with_tokens(tcp(), Some("unnamed-token"), tokens);
        let permit = |method: &Method, token: &str| {
            let authorization = format!("Bearer {token}-token");
            access.permit(method, &headers(&[(header::AUTHORIZATION, &authorization)]))
        };
        for (token, method, expected) in [
            ("grafana", Method::GET, 200),
            ("grafana", Method::HEAD, 200),
            ("grafana", Method::PUT, 403),
            ("grafana", Method::POST, 403),
            ("grafana", Method::DELETE, 403),
            ("ci", Method::POST, 200),
            ("unnamed", Method::POST, 200),
            ("nobodys", Method::GET, 401),
        ] {
            let status = permit(&method, token).map_or_else(|problem| problem.status, |_| 200);
            assert_eq!(status, expected, "{token} {method}");
        }
        let refused = permit(&Method::POST, "grafana").unwrap_err();
        let expected = "the token `grafana` has the role `read`, and POST needs `operate`";
        assert_eq!(&*refused.detail, expected);
    }

    #[test]
    fn a_cookie_has_the_role_of_its_token() {
        let reads = NamedToken {
            name: Name::new("grafana").unwrap(),
            role: Role::Read,
            secret: Secret::new("reads-only"),
        };
        let access = with_tokens(tcp(), Some("unnamed-token"), vec![reads]);
        let cookie = access.session(&HeaderMap::new(), "reads-only").unwrap();
        let cookie = headers(&[(header::COOKIE, cookie.split(';').next().unwrap())]);
        let caller = access.permit(&Method::GET, &cookie).unwrap();
        assert_eq!((caller.role, caller.token.as_deref()), (Role::Read, Some("grafana")));
        assert_eq!(access.permit(&Method::POST, &cookie).unwrap_err().status, 403);
        assert_eq!(access.session(&HeaderMap::new(), "guess").unwrap_err().status, 401);
    }

    #[test]
    fn a_token_that_was_taken_out_opens_nothing_its_cookie_included() {
        let access = access(Some("leaked-token"), tcp());
        let cookie = access.session(&HeaderMap::new(), "leaked-token").unwrap();
        let cookie = cookie.split(';').next().unwrap();
        let old = || {
            let proofs = [(header::COOKIE, cookie), (header::AUTHORIZATION, "Bearer leaked-token")];
            proofs.map(|proof| status(&access, &[(header::HOST, "cyan"), proof]))
        };
        assert_eq!(old(), [200, 200]);
        let held = AdminSpec::clone(&access.in_force.load());
        let next = AdminSpec { token: Some(Secret::new("other-token")), ..held.clone() };
        access.in_force.store(Arc::new(next));
        assert_eq!(old(), [401, 401]);
        let other = [(header::HOST, "cyan"), (header::AUTHORIZATION, "Bearer other-token")];
        assert_eq!(status(&access, &other), 200);
        access.in_force.store(Arc::new(held));
        assert_eq!(old(), [200, 200], "who knew it still does");
        assert_eq!(status(&access, &other), 401);
    }
}
