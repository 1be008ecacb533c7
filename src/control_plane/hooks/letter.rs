//! A notice in the forms in which it is sent.

use serde::Serialize;
use serde_json::json;

use crate::control_plane::clock::unix_ms;
use crate::model::name::Name;
use crate::model::rfc3339;
use crate::rollout::notice::Notice;

/// Version of the JSON's form. Rises only when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// A notice with what identifies it, the same for every receiver and attempt.
#[derive(Debug)]
pub(super) struct Letter {
    /// Sixteen hexadecimal digits. Who gets the same twice knows by it.
    pub(super) id: String,
    /// When it happened, in milliseconds of Unix time.
    at_ms: u64,
    /// Its place on the dashboard; `None` where nobody has said how people reach that.
    dashboard_url: Option<String>,
    pub(super) notice: Notice,
}

/// The whole notice as receivers read it.
#[derive(Serialize)]
struct Whole<'a> {
    schema: u32,
    id: &'a str,
    at: String,
    dashboard_url: Option<&'a str>,
    #[serde(flatten)]
    notice: &'a Notice,
}

impl Letter {
    /// `dashboard` is where people reach it.
    pub(super) fn new(notice: Notice, dashboard: Option<&str>) -> Self {
        let id = format!("{:016x}", fastrand::u64(..));
        let dashboard_url = dashboard.map(|base| format!("{base}/{}", place(&notice)));
        Self { id, at_ms: unix_ms(), dashboard_url, notice }
    }

    /// The whole notice as JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        let at = rfc3339::format(self.at_ms);
        let dashboard_url = self.dashboard_url.as_deref();
        let whole = Whole { schema: SCHEMA, id: &self.id, at, dashboard_url, notice: &self.notice };
        serde_json::to_vec(&whole).expect("texts, numbers and JSON values can be written as JSON")
    }

    /// One sentence, for Slack and those who took over its form.
    pub(super) fn slack(&self) -> Vec<u8> {
        let service = self.notice.service.as_ref();
        let service = service.map_or_else(String::new, |service| format!("{service}: "));
        // Slack reads `<` and `&` as its own (escaping as its documentation of text objects says).
        let text = format!("{service}{}", self.notice.text);
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let link = self.dashboard_url.as_ref();
        let link = link.map_or_else(String::new, |url| format!(" <{url}|dashboard>"));
        json!({ "text": text + &link }).to_string().into_bytes()
    }

    /// Environment variables for a program, which need not read JSON then.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let notice = &self.notice;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        vec![
            ("CYAN_NOTICE", self.id.clone()),
            ("CYAN_OCCASION", notice.occasion.name().to_owned()),
            ("CYAN_SERVICE", text(notice.service.as_ref().map(Name::as_str))),
            ("CYAN_ENVIRONMENT", text(notice.environment.as_ref().map(Name::as_str))),
            ("CYAN_ROLLOUT", notice.rollout.map(|number| number.to_string()).unwrap_or_default()),
            ("CYAN_VERSION", text(notice.version.as_deref())),
            ("CYAN_TEXT", notice.text.clone()),
            ("CYAN_DASHBOARD_URL", text(self.dashboard_url.as_deref())),
        ]
    }
}

/// Where the dashboard tells of it: the rollout, else the service.
fn place(notice: &Notice) -> String {
    match (&notice.service, notice.rollout) {
        (Some(service), Some(rollout)) => format!("#{service}/rollout/{rollout}"),
        (Some(service), None) => format!("#{service}"),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::occasion::Occasion;

    #[test]
    fn a_notice_has_one_form_for_each_reader() {
        let notice = Notice {
            occasion: Occasion::RolledBack,
            service: Some(Name::new("chat").unwrap()),
            environment: Some(Name::new("green").unwrap()),
            rollout: Some(7),
            version: None,
            text: "green failed 14 of 78 & <b>more</b>".to_owned(),
            details: json!({ "n": 78 }),
        };
        let letter = Letter::new(notice.clone(), Some("https://ops.test/cyan"));
        let whole: Value = serde_json::from_slice(&letter.json()).unwrap();
        assert_eq!((&whole["schema"], &whole["id"]), (&json!(1), &json!(letter.id)));
        assert_eq!((&whole["occasion"], &whole["rollout"]), (&json!("rolled_back"), &json!(7)));
        assert_eq!((&whole["version"], &whole["details"]["n"]), (&Value::Null, &json!(78)));
        let slack: Value = serde_json::from_slice(&letter.slack()).unwrap();
        let text = "chat: green failed 14 of 78 &amp; &lt;b&gt;more&lt;/b&gt;";
        let url = "https://ops.test/cyan/#chat/rollout/7";
        assert_eq!(whole["dashboard_url"], url);
        assert_eq!(slack, json!({ "text": format!("{text} <{url}|dashboard>") }));
        let variables = letter.variables();
        assert!(variables.contains(&("CYAN_ROLLOUT", "7".to_owned())));
        assert!(variables.contains(&("CYAN_VERSION", String::new())));
        assert!(variables.contains(&("CYAN_DASHBOARD_URL", url.to_owned())));
        let nowhere = Letter::new(notice, None);
        let whole: Value = serde_json::from_slice(&nowhere.json()).unwrap();
        assert_eq!(whole["dashboard_url"], Value::Null);
        let slack: Value = serde_json::from_slice(&nowhere.slack()).unwrap();
        assert_eq!(slack, json!({ "text": text }));
    }
}
