//! What `cyan serve --blue URL --green URL` uses instead of a file.
//!
//! The arguments are written down as the file they stand for and read like one, so that every rule
//! holds and no default is said twice. Errors name the argument instead of a line. `cyan init` writes
//! its addresses down by the same rules.

use super::source::Source;
use super::surroundings::{HAS_OTLP, Surroundings, read_file};
use super::{Config, ConfigErrors, read_source};

/// A config of one service with the environments blue and, if there is one, green. An upstream may be
/// shortened to `host:port` or `:port`. Everything goes to blue at first.
///
/// # Errors
/// When an argument is no address, or they contradict each other; at least one error, by argument.
pub fn without_a_file(arguments: &Arguments<'_>) -> Result<Config, ConfigErrors> {
    let Arguments { blue, green, listen, admin, state_dir } = *arguments;
    let mut lines = vec![
        ("--listen", format!("listen.http = {}", quoted(&listener_in_full(listen)))),
        ("--blue", format!("environment.blue.upstreams = {}", quoted(&upstream_in_full(blue)))),
    ];
    if let Some(green) = green {
        let upstream = quoted(&upstream_in_full(green));
        lines.push(("--green", format!("environment.green.upstreams = {upstream}")));
    }
    if let Some(admin) = admin {
        // Elsewhere `--admin` is where a client finds it, so it may be written as an address or a URL.
        let address = admin.strip_prefix("http://").unwrap_or(admin).trim_end_matches('/');
        let address = quoted(&listener_in_full(address));
        lines.push(("--admin", format!("admin.address = {address}")));
    }
    if let Some(state_dir) = state_dir {
        lines.push(("--state-dir", format!("state_dir = {}", quoted(state_dir))));
    }
    let source = Source::of_arguments(&lines);
    // Arguments were expanded by the shell already: nothing in them is a variable.
    let surroundings = Surroundings { variable: &|_| None, file: &read_file, has_otlp: HAS_OTLP };
    read_source(source, &surroundings).0
}

/// What the command line says.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    /// The upstream of blue.
    pub blue: &'a str,
    /// That of green, if there is one.
    pub green: Option<&'a str>,
    /// Where clients connect.
    pub listen: &'a str,
    /// Where the admin API listens; its default when left out.
    pub admin: Option<&'a str>,
    /// Where the state is; its default when left out.
    pub state_dir: Option<&'a str>,
}

/// `:8080` as an address to listen on: for this machine only.
pub fn listener_in_full(address: &str) -> String {
    if address.starts_with(':') { format!("127.0.0.1{address}") } else { address.to_owned() }
}

/// `:8001` and `host:8001` as upstreams.
pub fn upstream_in_full(upstream: &str) -> String {
    if upstream.contains("://") || upstream.starts_with("unix:") {
        return upstream.to_owned();
    }
    match upstream.strip_prefix(':') {
        Some(port) => format!("http://127.0.0.1:{port}"),
        None => format!("http://{upstream}"),
    }
}

/// A TOML string that holds `text` and no variable.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments<'a>(blue: &'a str, green: Option<&'a str>, listen: &'a str) -> Arguments<'a> {
        Arguments { blue, green, listen, admin: None, state_dir: None }
    }

    #[test]
    fn admin_api_and_state_have_their_place() {
        for (admin, expected) in [
            (":9000", "127.0.0.1:9000"),
            ("http://127.0.0.1:9000/", "127.0.0.1:9000"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            let more = Arguments {
                admin: Some(admin),
                state_dir: Some("/s"),
                ..arguments(":1", None, ":2")
            };
            let config = without_a_file(&more).unwrap();
            assert_eq!(config.admin.address.to_string(), expected);
            assert_eq!(config.state_dir.to_str(), Some("/s"));
        }
        let wrong = Arguments { admin: Some("nowhere"), ..arguments(":1", None, ":2") };
        let error = without_a_file(&wrong).unwrap_err().to_string();
        assert!(error.starts_with("--admin: `nowhere` is no address to listen on"), "{error}");
    }

    #[test]
    fn two_addresses_are_a_config() {
        for (blue, green) in [
            (":8001", Some(":8002")),
            ("127.0.0.1:8001", Some("http://127.0.0.1:8002")),
            ("http://127.0.0.1:8001/", None),
        ] {
            let config = without_a_file(&arguments(blue, green, ":8080")).unwrap();
            assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
            let service = &config.services[0];
            let blue = &service.environments[0];
            assert_eq!(blue.upstreams[0].to_string(), "http://127.0.0.1:8001");
            assert_eq!(service.initial.active, "blue");
            assert_eq!(service.initial.candidate.is_some(), green.is_some());
        }
    }

    #[test]
    fn errors_name_the_argument() {
        for (blue, green, listen, expected) in [
            (
                "ftp://a",
                None,
                ":80",
                "--blue: `ftp://a` is not an upstream; write http://HOST:PORT, https://HOST or unix:/path",
            ),
            (
                ":1",
                Some("a b\"\n${X}"),
                ":80",
                "--green: `http://a b\"\n${X}` is not an upstream; write http://HOST:PORT, https://HOST or unix:/path",
            ),
            (
                ":1",
                None,
                "8080",
                "--listen: `8080` is no address to listen on; write IP:PORT, e.g. 127.0.0.1:8080, or unix:/path",
            ),
            (
                ":80",
                None,
                ":80",
                "--blue: http://127.0.0.1 is Cyan's own address 127.0.0.1:80; write that of the server behind",
            ),
        ] {
            let errors = without_a_file(&arguments(blue, green, listen)).unwrap_err();
            assert_eq!(errors.lines().collect::<Vec<_>>(), [expected]);
        }
    }
}
