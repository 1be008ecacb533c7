//! `[admin]`: where operators connect.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::resolved::{ADMIN_ADDRESS, AdminSpec};
use super::address;
use super::listen::PlacedListener;
use crate::model::environment::Secret;
use crate::model::listener::ListenAddress;

/// Shorter tokens can be guessed over the network.
const TOKEN_CHARS_MIN: usize = 8;

pub(super) fn read(section: &Section<'_>, listeners: &[PlacedListener]) -> AdminSpec {
    let written = section.value("address", Kind::Text);
    let address = written.and_then(|value| value.with_text(address::parse));
    let address = address.unwrap_or(ListenAddress::Tcp(ADMIN_ADDRESS));
    let token = read_token(section);
    check_exposure(section, &address);
    check_collision(section, &address, listeners);
    AdminSpec { address, token }
}

fn read_token(section: &Section<'_>) -> Option<Secret> {
    let from_file = section.value("token_file", Kind::Path);
    if let (Some(value), true) = (&from_file, section.has("token")) {
        value.error("stands beside `token`; keep one of them");
    }
    let field = if section.has("token") { "token" } else { "token_file" };
    let token = match from_file {
        Some(value) => value.secret_in_file(),
        None => section.secret("token"),
    }?;
    if token.expose().len() < TOKEN_CHARS_MIN || token.expose().contains(' ') {
        let sentence =
            "must have at least 8 characters and no space; make one with `openssl rand -hex 32`";
        section.reader.error(&section.place_of(field), sentence);
    }
    Some(token)
}

fn check_exposure(section: &Section<'_>, address: &ListenAddress) {
    let has_token = section.has("token") || section.has("token_file");
    if !address::is_local(address) && !has_token {
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
