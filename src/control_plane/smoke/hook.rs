//! A smoke test that somebody else decides: a program, or a web service.

use std::time::Duration;

use serde_json::{Value, json};

use super::check::Place;
use crate::control_plane::post::Post;
use crate::control_plane::program::Program;
use crate::control_plane::quote::{quote, shorten};
use crate::model::hook::Receiver;
use crate::model::upstream::UpstreamSpec;

/// Asks once; both sides of the answer are words for people.
pub(super) async fn ask(
    receiver: &Receiver,
    timeout: Duration,
    upstream: &UpstreamSpec,
    place: &Place,
) -> Result<String, String> {
    let base_url = base_url(upstream, place);
    match receiver {
        Receiver::Program(argv) => {
            let mut program = Program { inherits: false, ..Program::new(argv, timeout) };
            for (name, value) in variables(&base_url, place) {
                program = program.variable(name, value);
            }
            let ended = program.run().await.map_err(|error| error.to_string())?;
            let said = quote(&ended.stdout, &place.secrets);
            let said = said.map_or_else(String::new, |text| format!(": {text}"));
            if ended.status.success() {
                return Ok(format!("exit code 0{said}"));
            }
            let how = place.secrets.cover(&ended.sentence());
            Err(if ended.stderr.is_empty() { how + &said } else { how })
        }
        Receiver::Web(address) => {
            let body = about(&base_url, place).to_string();
            let answer = Post::new(address, body.into_bytes()).send(timeout).await?;
            let said = quote(&answer.body, &place.secrets).map(|text| shorten(&text));
            let said = said.map_or_else(String::new, |text| format!(" \"{text}\""));
            let saw = format!("{}{said}", answer.status.as_u16());
            if answer.status.is_success() { Ok(saw) } else { Err(saw) }
        }
    }
}

/// Where a client of this upstream would begin its paths.
fn base_url(upstream: &UpstreamSpec, place: &Place) -> String {
    format!("{upstream}{}", place.environment.path_prefix.as_deref().unwrap_or_default())
}

fn variables(base_url: &str, place: &Place) -> Vec<(&'static str, String)> {
    let version = place.environment.version.as_deref().unwrap_or_default();
    let rollout = place.rollout.map_or_else(String::new, |number| number.to_string());
    vec![
        ("CYAN_BASE_URL", base_url.to_owned()),
        ("CYAN_SERVICE", place.service.to_string()),
        ("CYAN_ENVIRONMENT", place.environment.name.to_string()),
        ("CYAN_ROLLOUT", rollout),
        ("CYAN_VERSION", version.to_owned()),
    ]
}

fn about(base_url: &str, place: &Place) -> Value {
    json!({
        "base_url": base_url,
        "service": place.service,
        "environment": place.environment.name,
        "rollout": place.rollout,
        "version": place.environment.version.as_deref(),
    })
}
