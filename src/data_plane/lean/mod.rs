//! The lean engine: HTTP/1.1 for plain requests, and nothing else.
//!
//! Nearly all requests need little: a head, a short body, one write to the upstream, its answer passed
//! on as it comes. hyper does that through a general machinery whose price is most of a small request's
//! CPU time. Here it is done directly, and everything out of the ordinary is left to hyper: a connection
//! is handed over, with all unread bytes, at the first request that is not plain (`request.rs`). So no
//! rare case is handled twice. The decisions are the exchange's, as ever
//! (`docs/decisions/0007-a-lean-engine-for-plain-requests.md`).
//!
//! What must stay true:
//! - a connection is handed over between two requests, never within one;
//! - what was read from an upstream is written before more is read: nothing is merged or held back;
//! - a broken answer never ends as a whole one would;
//! - no task and no buffer per request; what one poll needs lies on the core's desk.

mod attempt;
mod connection;
mod conversation;
mod date;
mod desk;
mod fields;
mod framing;
mod mirror;
mod names;
mod outbox;
mod relay;
mod render;
mod request;
mod response;
mod serve;

pub use connection::LeanConnection;
pub use conversation::converse;

use std::cell::RefCell;

use super::pool::Pool;

/// What this engine keeps per core.
#[derive(Default)]
pub struct LeanEngine {
    /// Connections at rest.
    pub pool: RefCell<Pool<LeanConnection>>,
    desk: RefCell<desk::Desk>,
}

impl LeanEngine {
    /// Some time has passed: the date of the answers is looked at.
    pub fn tick(&self) {
        self.desk.borrow_mut().date.refresh(std::time::SystemTime::now());
    }
}
