//! Hooks as keys and values.

use super::{Entry, Shown, entry, free_list, hidden, list, text, time};
use crate::model::environment::Secret;
use crate::model::hook::{HookSpec, Receiver};
use crate::model::occasion::Occasion;

pub(super) fn of_hook(hook: &HookSpec) -> Vec<Entry> {
    let key = |key: &str| format!("hooks.{}.{key}", hook.name);
    let [exec, url] = of_receivers(&hook.receivers);
    vec![
        entry(&key("on"), list(hook.on.iter().copied().map(Occasion::name))),
        entry(&key("services"), list(&hook.services)),
        entry(&key("exec"), exec),
        entry(&key("url"), url),
        entry(&key("format"), text(hook.format.name())),
        entry(&key("secret"), hidden(hook.secret.as_ref())),
        entry(&key("timeout"), time(hook.timeout)),
        entry(&key("retries"), text(hook.retries)),
    ]
}

/// `exec` and `url`; the address is not shown, since many are credentials.
pub(super) fn of_receivers(receivers: &[Receiver]) -> [Shown; 2] {
    let mut shown = [Shown::Nothing, Shown::Nothing];
    for receiver in receivers {
        match receiver {
            Receiver::Program(argv) => shown[0] = free_list(Vec::from(argv.clone())),
            Receiver::Web(address) => {
                let url = format!("{}{}", address.upstream, address.path);
                shown[1] = hidden(Some(&Secret::new(&url)));
            }
        }
    }
    shown
}
