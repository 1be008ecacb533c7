//! What `cyan serve --blue URL --green URL` uses instead of a file.
//!
//! The arguments are written down as the file they stand for and read like one, so that every rule
//! holds and no default is said twice. Errors name the argument instead of a line.

use super::source::Source;
use super::surroundings::{HAS_OTLP, Surroundings, read_file};
use super::{Config, ConfigErrors, read_source};

/// A config of one service with the environments blue and, if there is one, green. An upstream may be
/// shortened to `host:port` or `:port`. Everything goes to blue at first.
///
/// # Errors
/// When an argument is no address, or they contradict each other; at least one error, by argument.
pub fn without_a_file(
    blue: &str,
    green: Option<&str>,
    listen: &str,
) -> Result<Config, ConfigErrors> {
    let listen = if listen.starts_with(':') { format!("127.0.0.1{listen}") } else { listen.into() };
    let mut lines = vec![
        ("--listen", format!("listen.http = {}", quoted(&listen))),
        ("--blue", format!("environment.blue.upstreams = {}", quoted(&full(blue)))),
    ];
    if let Some(green) = green {
        lines.push(("--green", format!("environment.green.upstreams = {}", quoted(&full(green)))));
    }
    let source = Source::of_arguments(&lines);
    // Arguments were expanded by the shell already: nothing in them is a variable.
    let surroundings = Surroundings { variable: &|_| None, file: &read_file, has_otlp: HAS_OTLP };
    read_source(source, &surroundings).0
}

/// `:8001` and `host:8001` as upstreams.
fn full(upstream: &str) -> String {
    if upstream.contains("://") || upstream.starts_with("unix:") {
        return upstream.to_owned();
    }
    match upstream.strip_prefix(':') {
        Some(port) => format!("http://127.0.0.1:{port}"),
        None => format!("http://{upstream}"),
    }
}

/// A TOML string that holds `text` and no variable.
fn quoted(text: &str) -> String {
    toml::Value::String(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_are_a_config() {
        for (blue, green) in [
            (":8001", Some(":8002")),
            ("127.0.0.1:8001", Some("http://127.0.0.1:8002")),
            ("http://127.0.0.1:8001/", None),
        ] {
            let config = without_a_file(blue, green, ":8080").unwrap();
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
            let errors = without_a_file(blue, green, listen).unwrap_err();
            assert_eq!(errors.lines().collect::<Vec<_>>(), [expected]);
        }
    }
}
