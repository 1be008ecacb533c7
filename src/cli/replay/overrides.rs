//! Other rules than the record's: what would these have decided?
//!
//! Each layer replaces the settings that it names and no others: the record's own, then `--settings`,
//! then `--judge`, then each `--set`.

use std::path::PathBuf;

use serde_json::Value;

use crate::cli::failure::Failure;
use crate::judge::record::Start;
use crate::judge::settings::Settings;

/// Flags that change the rules.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Overrides {
    /// Rules in place of the record's: a TOML file with the fields of `settings`
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// `evidence` or `window`
    #[arg(long, value_name = "JUDGE", value_parser = ["evidence", "window"])]
    judge: Option<String>,
    /// One rule, e.g. `limits.error_rate_max=0.02`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Overrides {
    /// The record's rules with these over them.
    pub fn apply(&self, mut start: Start) -> Result<Start, Failure> {
        for (name, text) in self.layers()? {
            start.settings = laid_over(&start.settings, &name, &text)?;
        }
        if !self.is_empty() {
            start.settings.check().map_err(|error| Failure::config(error.to_string()))?;
        }
        Ok(start)
    }

    fn is_empty(&self) -> bool {
        self.settings.is_none() && self.judge.is_none() && self.set.is_empty()
    }

    /// Where each comes from, and its TOML.
    fn layers(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut layers = vec![];
        if let Some(path) = &self.settings {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
            layers.push((name, text));
        }
        let judge =
            self.judge.iter().map(|judge| ("--judge".to_owned(), format!("judge = \"{judge}\"")));
        layers.extend(judge);
        layers.extend(self.set.iter().map(|set| ("--set".to_owned(), toml_of(set))));
        Ok(layers)
    }
}

/// `KEY=VALUE` as TOML; a bare word is text.
fn toml_of(set: &str) -> String {
    match set.split_once('=') {
        Some((key, value)) if set.parse::<toml::Table>().is_err() => format!("{key}={value:?}"),
        _ => set.to_owned(),
    }
}

/// `settings` with those that the TOML in `text` names replaced.
fn laid_over(settings: &Settings, name: &str, text: &str) -> Result<Settings, Failure> {
    let refused = |error: &toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        let place = if name.starts_with("--") { name.to_owned() } else { format!("{name}:{line}") };
        Failure::config(format!("{place}: {}", error.message().trim_end()))
            .hint("docs/reference/replay.md lists every setting")
    };
    // Read as settings first, for an error that knows its line.
    toml::from_str::<Settings>(text).map_err(|error| refused(&error))?;
    let over: Value = toml::from_str(text).map_err(|error| refused(&error))?;
    let unexpected = |error: serde_json::Error| Failure::unexpected(error.to_string());
    let mut merged = serde_json::to_value(settings).map_err(unexpected)?;
    merge(&mut merged, over);
    serde_json::from_value(merged).map_err(unexpected)
}

fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::metric::{Metric, Metrics};
    use crate::model::plan::JudgeKind;

    #[test]
    fn each_layer_replaces_what_it_names() {
        let mut start = Start::default();
        start.settings.limits.quality_min = 0.8;
        let overrides = Overrides {
            judge: Some("window".to_owned()),
            set: [
                "limits.error_rate_max=0.02",
                "bake.too_little_data=advance",
                "metrics=[\"errors\"]",
            ]
            .map(str::to_owned)
            .into(),
            ..Overrides::default()
        };
        let settings = overrides.apply(start).unwrap().settings;
        assert_eq!(settings.judge, JudgeKind::Window);
        assert_eq!((settings.limits.error_rate_max, settings.limits.quality_min), (0.02, 0.8));
        assert_eq!(settings.metrics, Metrics::new([Metric::Errors]));
    }

    #[test]
    fn a_refusal_names_file_and_line_or_the_flag() {
        let settings = Settings::default();
        let text = "judge = \"window\"\n[limits]\nerror_rat_max = 0.02\n";
        let error = laid_over(&settings, "rules.toml", text).unwrap_err();
        let expected = "rules.toml:3: unknown field `error_rat_max`, expected one of ";
        assert!(error.message.starts_with(expected), "{}", error.message);
        for (set, expected) in [
            ("limits.error_rate_max=much", "--set: invalid type: string \"much\", expected f64"),
            ("nonsense", "--set: "),
            ("window.samples_min=0", "`window.samples_min` is 0; write 1 or more"),
        ] {
            let overrides = Overrides { set: vec![set.to_owned()], ..Overrides::default() };
            let error = overrides.apply(Start::default()).unwrap_err();
            assert!(error.message.starts_with(expected), "{}", error.message);
        }
    }
}
