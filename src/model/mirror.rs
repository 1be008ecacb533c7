//! A copy of some live requests, so that a candidate is warm before it has users.
//!
//! The data plane only copies: it asks the tap of the service whether a request is wanted, notes its body
//! as it passes, and offers the copy. The control plane sends it to the candidate and throws the answer
//! away. What must stay true: nobody waits for any of it, so whatever finds no room is dropped and counted;
//! a permit is given back however its request ends; and without a warm-up there is no tap to ask.

pub mod counts;
mod pace;
pub mod tap;

use serde::{Deserialize, Serialize};

use super::snapshot::has_prefix;

/// Which live requests are copied, and how many at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MirrorRule {
    /// Share of the requests that may be copied, 0 to 1.
    pub share: f64,
    /// Copies under way: from the head of the request to the end of the discarded answer.
    pub in_flight_max: u32,
    /// Copies per second, never closer together than that. Above 0.
    pub requests_per_second: f64,
    /// Tokens, of prompts and answers, per second; `None` for no limit. Above 0.
    pub tokens_per_second: Option<f64>,
    /// Longest body in bytes; requests with longer ones are not copied.
    pub body_max: u64,
    /// Path prefixes, each on a segment boundary. Only what has no side effects belongs here; without
    /// any, nothing is copied.
    pub paths: Vec<String>,
}

impl Default for MirrorRule {
    fn default() -> Self {
        Self {
            share: 0.1,
            in_flight_max: 4,
            requests_per_second: 5.0,
            tokens_per_second: None,
            body_max: 1 << 20,
            paths: Vec::new(),
        }
    }
}

impl MirrorRule {
    /// Whether anything is copied at all.
    pub fn is_on(&self) -> bool {
        !self.paths.is_empty() && self.share > 0.0 && self.in_flight_max > 0
    }

    /// Whether a request may be sent twice. Methods other than these two change something by their own
    /// definition, and a path that is written in a roundabout way may be another one to a server.
    pub fn allows(&self, method: &str, path: &str) -> bool {
        let is_plain = !path.contains("..") && !path.contains(['%', '\\']) && !path.contains("//");
        matches!(method, "GET" | "POST")
            && is_plain
            && self.paths.iter().any(|prefix| has_prefix(path, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_list_are_copied_and_only_written_plainly() {
        let paths = vec!["/v1/chat".to_owned(), "/v1/embeddings".to_owned()];
        let rule = MirrorRule { paths, ..MirrorRule::default() };
        for (method, path, allowed) in [
            ("POST", "/v1/chat", true),
            ("POST", "/v1/chat/completions", true),
            ("GET", "/v1/embeddings", true),
            ("POST", "/v1/chatter", false),
            ("POST", "/v1/files", false),
            ("DELETE", "/v1/chat/completions", false),
            ("POST", "/v1/chat/../files", false),
            ("POST", "/v1/chat/%2e%2e/files", false),
            ("POST", "/v1/chat//files", false),
        ] {
            assert_eq!(rule.allows(method, path), allowed, "{method} {path}");
        }
        assert!(rule.is_on() && !MirrorRule::default().is_on());
        assert!(!MirrorRule::default().allows("POST", "/v1/chat"));
    }
}
