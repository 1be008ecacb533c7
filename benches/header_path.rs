//! What a request's head costs between parsing and sending: sanity, stripping, key, choice, edits.
//!
//! Two forms. `cargo bench --bench header_path` prints times. `benches/header_path.sh` runs the same
//! under callgrind and prints instructions per request, which hold on a noisy machine.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use cyan::data_plane::engine::heads::{HeaderForge, HyperRequest};
use cyan::data_plane::exchange::edits::Edits;
use cyan::data_plane::exchange::head::{BodyLength, Peer};
use cyan::data_plane::exchange::{Exchange, Next, Pick};
use cyan::data_plane::recorder::Recorder;
use cyan::model::snapshot::Snapshot;

#[path = "../tests/it/support/tables.rs"]
#[allow(dead_code, reason = "shared with tests that need the rest")]
mod tables;

/// A request as an SDK sends it: twelve headers.
fn request() -> http::request::Parts {
    let request = http::Request::post("/v1/chat/completions")
        .header("host", "llm.example")
        .header("user-agent", "OpenAI/Python 3.52.0")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate")
        .header("authorization", "Bearer sk-0123456789")
        .header("content-type", "application/json")
        .header("content-length", "1024")
        .header("connection", "keep-alive")
        .header("x-user-id", "user-4711")
        .header("x-request-id", "0123456789abcdef0123456789abcdef")
        .header("x-stainless-lang", "python")
        .header("x-stainless-retry-count", "0");
    request.body(()).expect("a request").into_parts().0
}

struct Stage {
    snapshot: Snapshot,
    recorder: Rc<Recorder>,
    peer: Rc<Peer>,
    forge: HeaderForge,
    edits: Edits,
}

impl Stage {
    fn new() -> Self {
        let table = tables::table_with(&tables::assignment(&[7_500, 2_500], 1), 1, |_, _| {});
        Self {
            snapshot: Snapshot::new(vec![Arc::new(table)]),
            recorder: Rc::new(Recorder::counting(1)),
            peer: Rc::new(Peer::new(Some("192.0.2.1".parse().expect("an address")))),
            forge: HeaderForge::default(),
            edits: Edits::default(),
        }
    }

    fn pass(&mut self, parts: &mut http::request::Parts) {
        let now = Instant::now();
        let mut exchange = Exchange::begin(Rc::clone(&self.recorder), Rc::clone(&self.peer), now);
        self.edits.clear();
        let body = BodyLength::Unknown;
        let next = {
            let head = HyperRequest { parts, body, forge: &self.forge };
            exchange.on_request(&head, &self.snapshot, &mut self.edits)
        };
        assert_eq!(next, Next::Route);
        self.forge.apply(&self.edits, &mut parts.headers);
        let picked = exchange.pick(&self.snapshot, now);
        assert!(matches!(black_box(picked), Pick::Upstream(_)));
        self.edits.clear();
        {
            let head = HyperRequest { parts, body, forge: &self.forge };
            exchange.edit_for_upstream(&head, &mut self.edits);
        }
        self.forge.apply(&self.edits, &mut parts.headers);
        exchange.close(now);
    }
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok());
    let rounds: u32 = rounds.unwrap_or(200_000);
    let mut stage = Stage::new();
    let requests: Vec<_> = (0..rounds).map(|_| request()).collect();
    stage.pass(&mut request());
    let began = Instant::now();
    for mut parts in requests {
        stage.pass(black_box(&mut parts));
        std::mem::forget(parts); // its memory is the parser's, not the header path's
    }
    let each = began.elapsed() / rounds;
    println!("header path, 12 headers: {each:?} a request, mean of {rounds}");
}
