//! What the demo's Cyan is set to: the config that an operator would write for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::pace::Pace;

/// Where everything is.
pub(super) struct Places<'a> {
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) state: &'a Path,
    pub(super) blue: String,
    pub(super) green: String,
    /// The program whose `demo --evaluate` asks the quality gate's questions; without it there is no gate.
    pub(super) evaluator: Option<PathBuf>,
}

/// The config. Connecting may take its time: everything runs on one machine here, and a busy one must
/// not make a healthy upstream look unreachable.
pub(super) fn text(places: &Places, pace: &Pace) -> String {
    let Places { port, admin_port, state, blue, green, evaluator } = places;
    let steps: Vec<String> = pace.steps().iter().map(|step| format!("{step:?}")).collect();
    let (steps, armed_for) = (steps.join(", "), pace.armed_for.as_millis());
    let state = quoted(state);
    let mut text = format!(
        r#"
state_dir = {state}
listen.http = "127.0.0.1:{port}"
admin.address = "127.0.0.1:{admin_port}"
shutdown.drain = "2s"

[service.chat]
active = "blue"
candidate = "green"
sticky.sources = ["header:x-user-id"]
force.trusted = ["127.0.0.1"]

[service.chat.rollout]
steps = [{steps}]
armed_for = "{armed_for}ms"

[service.chat.rollout.comparison]
quality_loss = 0.05

[service.chat.rollout.smoke.models]
path = "/v1/models"
expect.json = "/object = list"

[service.chat.rollout.probes]
apis = ["chat", "messages"]

[service.chat.rollout.warm_up]
prompts = ["Hello.", "Tell me of the harbour.", "Count the windows."]
requests_per_second = 20
concurrency = 8
window = "2s"
tolerance = 0.5
deadline = "12s"
mirror.share = 0.2
mirror.requests_per_second = 20
"#
    );
    if let Some(evaluator) = evaluator {
        let evaluator = quoted(evaluator);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[service.chat.rollout.quality]\nexec = [{evaluator}, \"demo\", \"--evaluate\"]\n\
             timeout = \"1m\"\ncases_min = 40\n"
        );
    }
    for (name, version, url) in [("blue", "mock-1.0", blue), ("green", "mock-1.1", green)] {
        let _ = write!(
            text,
            "[service.chat.environment.{name}]\nversion = \"{version}\"\nupstreams = [\"{url}\"]\n\
             health.path = \"/health\"\ntimeouts.connect = \"5s\"\ntimeouts.stalled = \"2s\"\n"
        );
    }
    text
}

/// A path as a string of TOML.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}
