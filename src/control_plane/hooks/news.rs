//! Notices of what happens without a rollout: switches and rollbacks by hand, drains, alerts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::control_plane::event::{Event, Since};
use crate::control_plane::handle::Shared;
use crate::model::name::Name;
use crate::model::occasion::Occasion;
use crate::rollout::notice::Notice;

/// Makes notices of events until it is dropped, or told that there are no more.
pub(super) async fn follow(shared: Arc<Shared>, mut no_more: watch::Receiver<bool>) {
    let mut seen = 0;
    let Since { kept: mut missed, coming: mut listener, .. } = shared.events.since(seen);
    loop {
        for event in missed.drain(..) {
            seen = event.seq;
            // A bug in one notice costs that notice: its panic is in the log, and hooks are told of the next.
            // Unwind safe, since nothing here is changed but queues, which are whole after any panic.
            let _ = catch_unwind(AssertUnwindSafe(|| tell_of(&event, &shared)));
        }
        let heard = tokio::select! {
            biased; // what has happened before is told
            heard = listener.recv() => heard,
            _ = no_more.wait_for(|no_more| *no_more) => return,
        };
        match heard {
            Ok(event) => missed.push(event),
            // The latest are still kept, and among them those that are not old news.
            Err(RecvError::Lagged(_)) => {
                Since { kept: missed, coming: listener, .. } = shared.events.since(seen);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn tell_of(event: &Event, shared: &Shared) {
    if let Some(notice) = notice_of(event) {
        shared.hooks.tell(with_version(notice, shared));
    }
}

/// What hooks are told of an event, if anything.
fn notice_of(event: &Event) -> Option<Notice> {
    let named = |field: &str| Name::new(event.details.get(field)?.as_str()?).ok();
    let (occasion, environment) = match event.kind {
        "switched" => (Occasion::Switched, named("active")),
        "rolled_back" => (Occasion::RolledBack, abandoned(&event.details)),
        "drained" | "drain_ended" => (Occasion::Drained, named("environment")),
        "store_failed" => (Occasion::Alert, None),
        "fell_back" | "fallback_over" => (Occasion::Alert, named("from")),
        "limit_broken" | "limit_kept" | "restored_silent" => {
            (Occasion::Alert, named("environment"))
        }
        _ => return None,
    };
    Some(Notice {
        occasion,
        service: event.service.clone(),
        environment,
        rollout: None,
        version: None,
        text: event.text.clone(),
        details: event.details.clone(),
    })
}

/// The environment that has lost most of its weight.
fn abandoned(details: &Value) -> Option<Name> {
    let (before, after) = (details.get("before")?.as_object()?, details.get("after")?);
    let lost = |name: &str, weight: &Value| {
        let after = after.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        weight.as_f64().unwrap_or(0.0) - after
    };
    let losses = before.iter().map(|(name, weight)| (name, lost(name, weight)));
    let (name, largest) = losses.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    Name::new(name).ok().filter(|_| largest > 0.0)
}

fn with_version(mut notice: Notice, shared: &Shared) -> Notice {
    let published = shared.published.load();
    let ours = published.environments().find(|(service, environment)| {
        Some(*service) == notice.service.as_ref()
            && Some(environment.name()) == notice.environment.as_ref()
    });
    let version = ours.and_then(|(_, environment)| environment.spec.version.as_deref());
    notice.version = version.map(str::to_owned);
    notice
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_concerns_somebody_outside_is_told() {
        let weights = |before: Value, after: Value| json!({ "before": before, "after": after, "active": "blue" });
        let back = weights(
            json!({"blue": 0.0, "green": 95.0, "red": 5.0}),
            json!({"blue": 95.0, "green": 0.0, "red": 5.0}),
        );
        for (kind, details, expected) in [
            ("switched", weights(json!({}), json!({})), Some((Occasion::Switched, Some("blue")))),
            ("rolled_back", back, Some((Occasion::RolledBack, Some("green")))),
            (
                "drained",
                json!({ "environment": "green" }),
                Some((Occasion::Drained, Some("green"))),
            ),
            (
                "drain_ended",
                json!({ "environment": "green" }),
                Some((Occasion::Drained, Some("green"))),
            ),
            ("store_failed", json!({}), Some((Occasion::Alert, None))),
            (
                "fell_back",
                json!({ "from": "blue", "to": "red" }),
                Some((Occasion::Alert, Some("blue"))),
            ),
            (
                "limit_broken",
                json!({ "environment": "blue" }),
                Some((Occasion::Alert, Some("blue"))),
            ),
            ("weights_set", json!({}), None),
            ("hook_failed", json!({}), None),
        ] {
            let event = Event { seq: 1, at: 0, service: None, kind, text: String::new(), details };
            let told = notice_of(&event);
            let told = told
                .map(|notice| (notice.occasion, notice.environment.map(|name| name.to_string())));
            let expected = expected.map(|(occasion, name)| (occasion, name.map(str::to_owned)));
            assert_eq!(told, expected, "{kind}");
        }
    }
}
