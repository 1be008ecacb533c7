//! A config as keys and values that another program can read: what a running Cyan tells of itself.
//!
//! Secrets are named and never told, not even as a hash: a short one could be guessed from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entries::{Shown, tables};
use super::resolved::Config;

/// One table of a config with what is set in it, defaults included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsTable {
    /// `service.chat.environment.blue`; empty for everything that no service owns.
    pub table: String,
    /// What is set, in the order of the reference.
    pub settings: Vec<Setting>,
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Below the table: `timeouts.connect`.
    pub key: String,
    /// As a person reads it; null for a secret.
    pub value: Option<String>,
}

/// Everything that is set in a config.
pub fn settings(config: &Config) -> Vec<SettingsTable> {
    let table = |table: super::entries::Table| {
        let entries = table.entries.into_iter();
        let settings = entries.filter_map(|entry| {
            let value = match entry.value {
                Shown::Nothing => return None,
                Shown::Text(text) => Some(text),
                Shown::Hidden | Shown::Free(_) => None,
            };
            Some(Setting { key: entry.key, value })
        });
        SettingsTable { table: table.path, settings: settings.collect() }
    };
    tables(config).into_iter().map(table).collect()
}
