//! The config file that `cyan init` writes: everything somebody decides first, each with its reason.

use std::fmt::Write as _;

use super::finding::Finding;
use crate::config::quoted;
use crate::model::upstream::UpstreamSpec;

/// One side of the release.
pub(super) struct Side {
    pub(super) upstream: UpstreamSpec,
    pub(super) finding: Finding,
}

/// The text of the file.
pub(super) fn text(blue: &Side, green: &Side, listen: &str, name: &str) -> String {
    let mut text = head(listen, name);
    text += "\n# Gets everybody at first.\n";
    text += &environment("blue", blue, None);
    text += "\n# The next version: gets nobody until a rollout gives it users, step by step.\n";
    text += &environment("green", green, blue.finding.models.first());
    text + &rollout(blue, green)
}

fn head(listen: &str, name: &str) -> String {
    let listen = quoted(listen);
    format!(
        "\
# Cyan between two versions of one service, as written by `cyan init`. Every key: docs/reference/config.md
#   check it   cyan check {name}
#   run it     cyan serve {name}
#   release    cyan rollout start green --wait
#   go back    cyan rollback

# Weights, rollouts and the journal survive a restart here.
state_dir = \"./cyan-state\"

# Where clients connect.
[listen]
http = {listen}

# Dashboard, `cyan status` and metrics.
[admin]
address = \"127.0.0.1:9901\"

# What keeps a user on one side while shares grow: the first of these that a request has.
#[sticky]
#sources = [\"header:x-session-id\", \"header:x-user-id\", \"json:/user\"]
"
    )
}

fn environment(name: &str, side: &Side, asked_for: Option<&String>) -> String {
    let Side { upstream, finding } = side;
    let mut text = format!("# {}\n[environment.{name}]\n", finding.sentence());
    let mut line = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    line(&format!("upstreams = [{}]", quoted(&upstream.to_string())));
    line(&format!("#version = \"{name}-1\"             # a label for status and journal"));
    match finding.health {
        Some(path) => line(&format!("health.path = {}", quoted(path))),
        None => line(
            "#health.path = \"/health\"         # no such page was found; without it, connections tell",
        ),
    }
    if upstream.tls {
        line("host = \"upstream\"               # a hosted API wants to be called by its own name");
    }
    if finding.needs_key {
        let variable = format!("{}_API_KEY", name.to_uppercase());
        line(&format!(
            "#credentials = {{ env = \"{variable}\" }} # it asks for a key; else clients bring theirs"
        ));
    }
    // Clients go on asking for the model by the name that they know.
    if let (Some(asked_for), Some(own)) = (asked_for, finding.models.first())
        && !finding.models.contains(asked_for)
    {
        let asked_for = quoted(asked_for).replace('$', "");
        line(&format!("model = {}   # clients ask for {asked_for}", quoted(own)));
    }
    text
}

fn rollout(blue: &Side, green: &Side) -> String {
    let mut text = "
# A release by these steps, each watched for so long; worse answers bring everybody back.
[rollout]
steps = [\"1%\", \"5%\", \"25%\", \"50%\", \"100%\"]
bake = \"5m\"
"
    .to_owned();
    let model = blue.finding.models.first().or(green.finding.models.first());
    let apis = if green.finding.apis.is_empty() { &blue.finding.apis } else { &green.finding.apis };
    let (Some(api), Some(model)) = (apis.first(), model) else { return text };
    let _ = write!(
        text,
        "
# Before users come, each upstream of green answers one short question.
[rollout.probes]
apis = [{}]
model = {}
",
        quoted(api.name()),
        quoted(model)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::finding::Finding;
    use super::*;
    use crate::config::{HAS_OTLP, Surroundings, from_text, read_file};
    use crate::model::model_names::OwnName;
    use crate::model::plan::smoke::ProbeApi;

    fn side(upstream: &str, model: &str, apis: &[ProbeApi]) -> Side {
        let models = (!model.is_empty()).then(|| model.to_owned()).into_iter().collect();
        let finding = Finding { models, apis: apis.to_vec(), ..Finding::default() };
        Side { upstream: upstream.parse().unwrap(), finding }
    }

    fn read(text: &str) -> crate::config::Config {
        let surroundings =
            Surroundings { variable: &|_| None, file: &read_file, has_otlp: HAS_OTLP };
        from_text(text, "a.toml", &surroundings).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    }

    #[test]
    fn whatever_was_found_the_file_is_valid() {
        let mut hosted = side("https://api.example.com", "m\"${X}", &[ProbeApi::Messages]);
        hosted.finding.needs_key = true;
        let mut silent = side("http://127.0.0.1:8002", "", &[]);
        silent.finding.problem = Some("connection refused".into());
        for green in [hosted, silent, side("unix:/run/green.sock", "blue-model", &[])] {
            let blue = side("http://127.0.0.1:8001", "blue-model", &[ProbeApi::Chat]);
            let config = read(&text(&blue, &green, "127.0.0.1:8080", "cyan.toml"));
            let [first, second] = config.services[0].environments.as_slice() else { panic!() };
            assert_eq!(first.upstreams[0], blue.upstream);
            assert_eq!(second.upstreams[0], green.upstream);
            let own = second.models.otherwise.as_ref().map(OwnName::as_str);
            assert_eq!(own, green.upstream.tls.then_some("m\"${X}"));
        }
    }

    #[test]
    fn what_is_commented_out_is_valid_too() {
        let blue = side("http://127.0.0.1:8001", "m", &[ProbeApi::Chat]);
        let text = text(&blue, &blue_of_another_port(), "127.0.0.1:8080", "cyan.toml");
        let active: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_eq!(read(&active).services[0].environments[0].version.as_deref(), Some("blue-1"));
    }

    fn blue_of_another_port() -> Side {
        side("http://127.0.0.1:8002", "m", &[ProbeApi::Chat])
    }
}
