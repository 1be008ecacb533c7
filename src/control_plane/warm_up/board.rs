//! How a gate at work goes, for whoever looks: a warm-up, smoke tests. What is said of one is gone when it
//! ends, however it ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::name::Name;

/// What was said last, by service. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::control_plane) struct Board {
    /// A plain mutex: held for a look-up, never over an await.
    said: Arc<Mutex<BTreeMap<Name, String>>>,
}

/// A gate's place on the board.
#[derive(Debug)]
pub(in crate::control_plane) struct Notice {
    board: Board,
    service: Name,
}

impl Board {
    /// What was said last of a service's gate; `None` when none is at work.
    pub(in crate::control_plane) fn read(&self, service: &str) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().find(|(name, _)| name.as_str() == service).map(|(_, said)| said.clone())
    }

    /// A place to say something of a service's gate.
    pub(in crate::control_plane) fn notice(&self, service: &Name) -> Notice {
        Notice { board: self.clone(), service: service.clone() }
    }
}

impl Notice {
    /// Says how it goes.
    pub(in crate::control_plane) fn say(&self, words: String) {
        let mut said = self.board.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(self.service.clone(), words);
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let mut said = self.board.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.remove(&self.service);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_gone_with_who_said_it() {
        let board = Board::default();
        let notice = board.notice(&Name::new("chat").unwrap());
        assert_eq!(board.read("chat"), None);
        notice.say("window 1".to_owned());
        assert_eq!(board.read("chat").as_deref(), Some("window 1"));
        drop(notice);
        assert_eq!(board.read("chat"), None);
    }
}
