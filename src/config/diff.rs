//! What a reload would change, in words: one line per field.
//!
//! For `cyan check --diff`. It compares what a running Cyan says of itself with a file; fields that the
//! API has changed since belong to the store, and whoever shows the lines says so.

use super::settings::{Setting, SettingsTable};

/// What differs between two configs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// A line per field, in the order of the new config; empty when nothing changes.
    pub lines: Vec<String>,
    /// Secrets that both have: whether they are the same cannot be told.
    pub secrets: Vec<String>,
}

/// The changes from `old` to `new`.
pub fn diff(old: &[SettingsTable], new: &[SettingsTable]) -> Diff {
    let mut diff = Diff::default();
    for table in new {
        match old.iter().find(|other| other.table == table.table) {
            Some(before) => diff.compare(before, table),
            None if is_within_missing(old, &table.table) => {}
            None => diff.lines.push(format!("{}: added", table.table)),
        }
    }
    let is_gone = |table: &&SettingsTable| new.iter().all(|other| other.table != table.table);
    let gone = old.iter().filter(is_gone).filter(|table| !is_within_missing(new, &table.table));
    diff.lines.extend(gone.map(|table| format!("{}: removed", table.table)));
    diff
}

/// Whether the service around an environment is missing too: then its own line says enough.
fn is_within_missing(tables: &[SettingsTable], path: &str) -> bool {
    let service = path.split_once(".environment.").map(|(service, _)| service);
    service.is_some_and(|service| tables.iter().all(|table| table.table != service))
}

impl Diff {
    fn compare(&mut self, old: &SettingsTable, new: &SettingsTable) {
        let find = |table: &'_ SettingsTable, key: &str| {
            table.settings.iter().find(|setting| setting.key == key).cloned()
        };
        let is_only_old = |setting: &&Setting| find(new, &setting.key).is_none();
        for Setting { key, .. } in
            new.settings.iter().chain(old.settings.iter().filter(is_only_old))
        {
            let field =
                if old.table.is_empty() { key.clone() } else { format!("{}.{key}", old.table) };
            match (find(old, key), find(new, key)) {
                (Some(Setting { value: None, .. }), Some(Setting { value: None, .. })) => {
                    self.secrets.push(field);
                }
                (before, after) if before != after => {
                    let (from, to) = (words(before.as_ref()), words(after.as_ref()));
                    self.lines.push(format!("{field}: {from} -> {to}{}", note(&field)));
                }
                _ => {}
            }
        }
    }
}

fn words(setting: Option<&Setting>) -> &str {
    match setting {
        None => "not set",
        Some(Setting { value: Some(text), .. }) => text,
        Some(Setting { value: None, .. }) => "set (not shown)",
    }
}

/// What has to be known about a field that a reload does not simply take over.
fn note(field: &str) -> &'static str {
    let last = field.rsplit('.').next().unwrap_or_default();
    if !field.starts_with("service.") {
        if is_renewed(field) { "" } else { "; needs a restart" }
    } else if ["weight", "active", "candidate", "fallback"].contains(&last) {
        "; only for a service without state, others keep theirs"
    } else if field.contains(".sticky.") {
        "; users may change sides once"
    } else {
        ""
    }
}

/// Whether it stands before the services and is taken over all the same: TLS, and who may call the admin API.
fn is_renewed(field: &str) -> bool {
    let is_tls = field
        .strip_prefix("listen.")
        .is_some_and(|field| TLS.contains(&field) || field.starts_with("certificates."));
    is_tls || field.starts_with("admin.token")
}

/// Fields of `listen` that say how TLS is spoken.
const TLS: [&str; 6] = [
    "certificate_file",
    "key_file",
    "tls_version_min",
    "client_ca_file",
    "client_certificate",
    "forward_client_certificate",
];

#[cfg(test)]
mod tests {
    use super::super::element::testing::config;
    use super::super::settings::settings;
    use super::*;

    const OLD: &str = r#"
        listen.http = "127.0.0.1:80"
        [service.chat]
        sticky = ["bearer"]
        [service.chat.environment.blue]
        upstreams = "http://127.0.0.1:1"
        credentials = "one"
        weight = 95
        [service.chat.environment.green]
        upstreams = "http://127.0.0.1:2"
        in_flight_max = 4
    "#;

    fn lines(changes: &[(&str, &str)]) -> Vec<String> {
        let new = changes.iter().fold(OLD.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        compared(&new).lines
    }

    fn compared(new: &str) -> Diff {
        diff(&settings(&config(OLD)), &settings(&config(new)))
    }

    #[test]
    fn each_field_has_a_line() {
        for (from, to, expected) in [
            ("95", "95.0", vec![]),
            (
                "127.0.0.1:80",
                "127.0.0.1:81",
                vec!["listen.http: [127.0.0.1:80] -> [127.0.0.1:81]; needs a restart"],
            ),
            (
                "listen.http",
                "admin.token = \"a-long-secret\"\nlisten.http",
                vec!["admin.token: not set -> set (not shown)"],
            ),
            (
                "listen.http",
                "admin.address = \"127.0.0.1:99\"\nlisten.http",
                vec!["admin.address: 127.0.0.1:9901 -> 127.0.0.1:99; needs a restart"],
            ),
            (
                "[\"bearer\"]",
                "[\"query:u\"]",
                vec![
                    "service.chat.sticky.sources: [bearer] -> [query:u]; users may change sides once",
                ],
            ),
            (
                "credentials = \"one\"",
                "",
                vec![
                    "service.chat.environment.blue.set_headers.authorization: set (not shown) -> not set",
                ],
            ),
            (
                "in_flight_max = 4",
                "timeouts.connect = \"3s\"",
                vec![
                    "service.chat.environment.green.timeouts.connect: 1s -> 3s",
                    "service.chat.environment.green.in_flight_max: 4 -> not set",
                ],
            ),
            (
                "95",
                "90",
                vec![
                    "service.chat.environment.blue.weight: 95 -> 90; only for a service without state, others keep theirs",
                    "service.chat.environment.green.weight: 5 -> 10; only for a service without state, others keep theirs",
                ],
            ),
        ] {
            assert_eq!(lines(&[(from, to)]), expected);
        }
    }

    #[test]
    fn what_comes_and_goes_has_one_line() {
        let renamed = lines(&[("environment.green", "environment.red")]);
        assert!(renamed.contains(&"service.chat.environment.red: added".to_owned()), "{renamed:?}");
        assert!(renamed.contains(&"service.chat.environment.green: removed".to_owned()));

        let other = OLD.replace("service.chat", "service.talk");
        assert_eq!(compared(&other).lines, ["service.talk: added", "service.chat: removed"]);
    }

    #[test]
    fn secrets_that_both_have_are_named_and_not_compared() {
        let Diff { lines, secrets } = compared(&OLD.replace("\"one\"", "\"two\""));
        assert_eq!(lines, Vec::<String>::new());
        assert_eq!(secrets, ["service.chat.environment.blue.set_headers.authorization"]);
    }
}
