//! What a reload would change, in words: one line per field.
//!
//! For `cyan check --diff` and the journal. It compares two files' worth of values; fields that the API
//! has changed since belong to the store, and the reload itself says so.

use super::entries::{Entry, Shown, Table, tables};
use super::resolved::Config;

/// The changes from `old` to `new`, in the order of the new file; empty when nothing changes.
pub fn diff(old: &Config, new: &Config) -> Vec<String> {
    let (old, new) = (tables(old), tables(new));
    let mut lines = Vec::new();
    for table in &new {
        match old.iter().find(|other| other.path == table.path) {
            Some(before) => lines.extend(changed_fields(before, table)),
            None if is_within_missing(&old, &table.path) => {}
            None => lines.push(format!("{}: added", table.path)),
        }
    }
    let is_gone = |table: &&Table| new.iter().all(|other| other.path != table.path);
    let gone = old.iter().filter(is_gone).filter(|table| !is_within_missing(&new, &table.path));
    lines.extend(gone.map(|table| format!("{}: removed", table.path)));
    lines
}

/// Whether the service around an environment is missing too: then its own line says enough.
fn is_within_missing(tables: &[Table], path: &str) -> bool {
    let service = path.split_once(".environment.").map(|(service, _)| service);
    service.is_some_and(|service| tables.iter().all(|table| table.path != service))
}

fn changed_fields(old: &Table, new: &Table) -> Vec<String> {
    let value = |table: &Table, key: &str| {
        let found = table.entries.iter().find(|entry| entry.key == key);
        found.map_or(Shown::Nothing, |entry| entry.value.clone())
    };
    let is_only_old = |entry: &&Entry| new.entries.iter().all(|other| other.key != entry.key);
    let keys = new.entries.iter().chain(old.entries.iter().filter(is_only_old));
    keys.filter_map(|Entry { key, .. }| {
        let (before, after) = (value(old, key), value(new, key));
        let field = if old.path.is_empty() { key.clone() } else { format!("{}.{key}", old.path) };
        (before != after).then(|| line(&field, &before, &after))
    })
    .collect()
}

fn line(field: &str, before: &Shown, after: &Shown) -> String {
    let change = match (before, after) {
        (Shown::Hidden(_), Shown::Hidden(_)) => "changed (not shown)".to_owned(),
        (before, after) => format!("{} -> {}", words(before), words(after)),
    };
    format!("{field}: {change}{}", note(field))
}

fn words(value: &Shown) -> &str {
    match value {
        Shown::Nothing => "not set",
        Shown::Text(text) => text,
        Shown::Hidden(_) => "set (not shown)",
    }
}

/// What has to be known about a field that a reload does not simply take over.
fn note(field: &str) -> &'static str {
    let last = field.rsplit('.').next().unwrap_or_default();
    if !field.starts_with("service.") {
        "; needs a restart"
    } else if ["weight", "active", "candidate", "fallback"].contains(&last) {
        "; only for a service without state, others keep theirs"
    } else if field.contains(".sticky.") {
        "; users may change sides once"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::super::element::testing::config;
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
        diff(&config(OLD), &config(&new))
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
                "[\"bearer\"]",
                "[\"query:u\"]",
                vec![
                    "service.chat.sticky.sources: [bearer] -> [query:u]; users may change sides once",
                ],
            ),
            (
                "\"one\"",
                "\"two\"",
                vec![
                    "service.chat.environment.blue.set_headers.authorization: changed (not shown)",
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
                    "service.chat.environment.green.in_flight_max: 4 -> not set",
                    "service.chat.environment.green.timeouts.connect: 1s -> 3s",
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
        let changes = diff(&config(OLD), &config(&other));
        assert_eq!(changes, ["service.talk: added", "service.chat: removed"]);
    }
}
