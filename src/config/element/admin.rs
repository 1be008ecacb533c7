//! `[admin]`: where operators connect.

use std::sync::Arc;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::resolved::{ADMIN_ADDRESS, AdminSpec};
use super::listen::PlacedListener;
use super::{address, admin_token};
use crate::model::hook::WebAddress;
use crate::model::listener::ListenAddress;

pub(super) fn read(section: &Section<'_>, listeners: &[PlacedListener]) -> AdminSpec {
    let written = section.value("address", Kind::Text);
    let address = written.and_then(|value| value.with_text(address::parse));
    let address = address.unwrap_or(ListenAddress::Tcp(ADMIN_ADDRESS));
    let token = admin_token::read_unnamed(section);
    let tokens = admin_token::read_all(section, token.as_ref());
    check_exposure(section, &address);
    check_collision(section, &address, listeners);
    let public_url =
        section.value("public_url", Kind::Text).and_then(|value| value.with_text(parse_url));
    AdminSpec { address, public_url, token, tokens }
}

fn parse_url(text: &str) -> Result<Arc<str>, String> {
    let is_one = text.parse::<WebAddress>().is_ok() && !text.contains('?');
    let refused = || {
        format!("`{text}` is no address of a dashboard; write https://HOST or https://HOST/PATH")
    };
    is_one.then(|| text.trim_end_matches('/').into()).ok_or_else(refused)
}

fn check_exposure(section: &Section<'_>, address: &ListenAddress) {
    let has_token = admin_token::is_any_written(section);
    if !address.is_local() && !has_token {
        let sentence = format!(
            "{address} is reached from other machines and there is no token; write token or token_file, or 127.0.0.1"
        );
        section.reader.error(&section.place_of("address"), sentence);
    }
}

fn check_collision(section: &Section<'_>, address: &ListenAddress, listeners: &[PlacedListener]) {
    let public = listeners.iter().find(|(_, public)| address::collide(&public.address, address));
    if let Some((place, public)) = public {
        let sentence = format!(
            "{address} collides with the public address {}; give the admin API its own",
            public.address
        );
        let related = vec![place.span.clone()];
        section.reader.error_with(&section.place_of("address"), sentence, related);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{config, errors, with_files};

    const REST: &str = "[listen]\nhttp = \"127.0.0.1:80\"\n[environment.blue]\nupstreams = \"http://127.0.0.1:1\"\n";

    #[test]
    fn admin_is_local_unless_written() {
        let admin = config(REST).admin;
        assert_eq!(admin.address.to_string(), "127.0.0.1:9901");
        assert!(admin.token.is_none());
    }

    #[test]
    fn the_token_may_stand_elsewhere() {
        for token in [
            "token = \"secret-token\"",
            "token = \"${TOKEN}\"",
            "token = { env = \"TOKEN\" }",
            "token = { file = \"/token\" }",
            "token_file = \"/token\"",
        ] {
            let text = format!("[admin]\naddress = \"0.0.0.0:9901\"\n{token}\n{REST}");
            let config = with_files(&text, &[("/token", "secret-token\n")]).unwrap();
            let token = config.admin.token.unwrap();
            assert_eq!(token.expose(), "secret-token");
        }
    }

    /// A table that was there and empty counted as a token, so that everybody on the network could operate.
    #[test]
    fn a_table_without_a_token_does_not_close_the_door() {
        let address = "address = \"0.0.0.0:1\"";
        for admin in [
            format!("[admin]\n{address}\n[admin.tokens]"),
            format!("[admin]\n{address}\ntokens = {{}}"),
            format!("admin = {{ {address}, tokens = {{}} }}"),
        ] {
            let text = format!("{admin}\n{REST}");
            let errors = errors(&text);
            assert!(
                errors[0].contains("is reached from other machines and there is no token"),
                "{errors:?}"
            );
        }
    }

    #[test]
    fn an_open_door_is_refused() {
        for (admin, expected) in [
            (
                "address = \"0.0.0.0:1\"",
                "a.toml:2: admin.address: 0.0.0.0:1 is reached from other machines and there is no token; write token or token_file, or 127.0.0.1",
            ),
            (
                "address = \"127.0.0.1:80\"",
                "a.toml:2: admin.address: 127.0.0.1:80 collides with the public address 127.0.0.1:80; give the admin API its own",
            ),
            (
                "public_url = \"cyan.example.com\"",
                "a.toml:2: admin.public_url: `cyan.example.com` is no address of a dashboard; write https://HOST or https://HOST/PATH",
            ),
            (
                "token = \"short\"",
                "a.toml:2: admin.token: must have at least 8 characters and no space; make one with `openssl rand -hex 32`",
            ),
            (
                "token = { env = \"NONE\" }",
                "a.toml:2: admin.token: variable `NONE` is not set; set it in the environment of Cyan",
            ),
            (
                "token = { path = \"/token\" }",
                "a.toml:2: admin.token: must be a secret; write for example { env = \"CYAN_ADMIN_TOKEN\" }",
            ),
            (
                "token = \"${TOKEN}\"\ntoken_file = \"/none\"",
                "a.toml:3: admin.token_file: stands beside `token`; keep one of them",
            ),
        ] {
            let errors = errors(&format!("[admin]\n{admin}\n{REST}"));
            assert_eq!(errors.first().map(String::as_str), Some(expected), "{errors:?}");
        }
    }
}
