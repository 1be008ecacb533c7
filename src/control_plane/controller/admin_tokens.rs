//! Who may call the admin API, as a reload takes it over.

use std::sync::Arc;

use serde_json::json;

use super::Controller;
use crate::config::resolved::AdminSpec;
use crate::control_plane::change::reload;
use crate::control_plane::command::Request;
use crate::control_plane::journal::NewEntry;

/// The journal's code of it.
const KIND: &str = "admin_tokens_changed";

impl Controller {
    /// From here on the admin API is opened by the tokens of this config, and by no others. False: they are
    /// those of before, or it would be open to other machines.
    pub(super) fn tokens_taken(&mut self, file: &AdminSpec, request: &Request) -> bool {
        let held = self.shared.admin.load_full();
        let (token, tokens) = (file.token.clone(), file.tokens.clone());
        let next = AdminSpec { token, tokens, ..AdminSpec::clone(&held) };
        if next == *held || reload::leaves_open(&self.started_with.admin, file) {
            return false;
        }
        let (text, details) = (described(&next), json!({ "names": names(&next) }));
        self.shared.admin.store(Arc::new(next));
        self.shared.events.tell(None, KIND, text.clone(), details.clone());
        let (actor, reason) = (request.actor.clone(), request.reason.clone());
        self.remember(NewEntry::of_process(actor, reason, KIND, text, details));
        true
    }
}

fn described(admin: &AdminSpec) -> String {
    let names = names(admin);
    let unnamed = admin.token.as_ref().map(|_| "the one without a name");
    let known: Vec<_> = unnamed.into_iter().chain(names).collect();
    if known.is_empty() {
        return "the admin API asks for no token any more".to_owned();
    }
    format!("the tokens of the admin API have changed; these open it now: {}", known.join(", "))
}

fn names(admin: &AdminSpec) -> Vec<&str> {
    admin.tokens.iter().map(|token| token.name.as_str()).collect()
}
