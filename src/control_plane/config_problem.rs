//! Why the config that was read last is not in force.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::model::reading::Reading;

/// What is wrong with the config that was read last; nothing after one that was taken.
#[derive(Debug, Default)]
pub(super) struct ConfigProblem(ArcSwapOption<(Reading, Arc<String>)>);

impl ConfigProblem {
    /// Why it was refused.
    pub(super) fn reason(&self) -> Option<Arc<String>> {
        self.0.load().as_deref().map(|(_, reason)| Arc::clone(reason))
    }

    /// What was read was refused. Nothing changes where a later reading was refused too.
    pub(super) fn refused(&self, reading: Reading, reason: &str) {
        let reason = Arc::new((reading, Arc::new(reason.to_owned())));
        self.0.rcu(|known| match known {
            Some(later) if later.0 > reading => Some(Arc::clone(later)),
            _ => Some(Arc::clone(&reason)),
        });
    }

    /// What was read is in force. What was read later, and is wrong, is so still.
    pub(super) fn taken(&self, reading: Reading) {
        self.0.rcu(|known| known.clone().filter(|refused| refused.0 > reading));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_last_counts_whenever_it_arrives() {
        let [first, second, third] = [(); 3].map(|()| Reading::begin());
        let problem = ConfigProblem::default();
        let reason = || problem.reason().map(|reason| (*reason).clone());
        problem.refused(second, "second");
        problem.refused(first, "first");
        assert_eq!(reason().as_deref(), Some("second"));
        problem.taken(first);
        assert_eq!(reason().as_deref(), Some("second"));
        problem.taken(third);
        assert_eq!(reason(), None);
    }
}
