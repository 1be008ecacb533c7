//! Holds, before anything is measured, that each proxy does the same work.
//!
//! A proxy that forgets a header or sends everybody to one environment would win for nothing.

use std::collections::BTreeMap;
use std::io;

use crate::load::{self, Client};
use crate::message;
use crate::subject::{Running, Subject};

/// Users that ask; with fair halves all on one side happens once in 2^63 runs.
const USERS: usize = 64;

/// What a proxy does not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnequalWork {
    /// No answer at all, or none with status 200.
    #[error("{0} does not pass on a request: {1}")]
    Broken(Subject, #[source] io::Error),
    /// A header is missing or names another environment.
    #[error("{0} must set `{1}` to `{2}`, but it is `{3}`")]
    Header(Subject, &'static str, String, String),
    /// The choice is not sticky.
    #[error("{0} sent user {1} to `{2}` and then to `{3}`")]
    NotSticky(Subject, usize, String, String),
    /// Or it is no choice.
    #[error("{0} sent all of {USERS} users to one environment")]
    OneSided(Subject),
}

/// Asks twice for each user, over different connections, and compares what arrived upstream.
pub(crate) async fn check(subject: Subject, running: &Running) -> Result<(), UnequalWork> {
    let mut environments = BTreeMap::new();
    for round in 0..2 {
        let address = running.address_for(0);
        let broken = |error| UnequalWork::Broken(subject, error);
        let mut client = Client::connect(address).await.map_err(broken)?;
        for user in 0..USERS {
            let question = load::request("POST /echo", user, "{}");
            client.exchange(&question).await.map_err(broken)?;
            let environment = check_answer(subject, client.answer())?;
            let before = environments.entry(user).or_insert_with(|| environment.clone());
            if *before != environment {
                let before = before.clone();
                return Err(UnequalWork::NotSticky(subject, user, before, environment));
            }
        }
        debug_assert_eq!(environments.len(), USERS, "round {round} has asked for every user");
    }
    let first = environments.get(&0);
    let is_one_sided = environments.values().all(|environment| Some(environment) == first);
    if is_one_sided { Err(UnequalWork::OneSided(subject)) } else { Ok(()) }
}

/// The environment that answered, when all headers on the way there and back are right.
fn check_answer(subject: Subject, answer: &[u8]) -> Result<String, UnequalWork> {
    let (head, body) = answer.split_at(message::head_end(answer).unwrap_or(0));
    let body = String::from_utf8_lossy(body);
    let arrived = |name: &str| {
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("").to_owned()
    };
    let environment = arrived("environment");
    let returned = message::header(head, "x-deployment").unwrap_or("").to_owned();
    for (name, expected, found) in [
        ("X-Deployment (request)", environment.clone(), arrived("x-deployment")),
        ("X-Forwarded-For", "127.0.0.1".to_owned(), arrived("x-forwarded-for")),
        ("X-Deployment (response)", environment.clone(), returned),
    ] {
        if expected != found {
            return Err(UnequalWork::Header(subject, name, expected, found));
        }
    }
    Ok(environment)
}
