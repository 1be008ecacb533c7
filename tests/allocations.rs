//! What the hot path allocates, counted exactly: nothing to choose, next to nothing for a head, and nothing
//! to read an answer, whatever it is.
//!
//! A binary of its own, because it replaces the allocator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cyan::data_plane::engine::heads::{HeaderForge, HyperRequest};
use cyan::data_plane::exchange::edits::Edits;
use cyan::data_plane::exchange::head::{BodyLength, Peer};
use cyan::data_plane::exchange::{Exchange, Next};
use cyan::data_plane::recorder::Recorder;
use cyan::inspect::answer::{AnswerHead, AnswerScan};
use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd;
use cyan::model::snapshot::Snapshot;

#[path = "it/support/tables.rs"]
#[allow(dead_code, reason = "shared with tests that need the rest")]
mod tables;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Heads that are counted.
const HEADS: usize = 1000;

// SAFETY: every call is handed to the system's allocator unchanged; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test, so that nothing else allocates meanwhile.
#[test]
fn choosing_and_reading_answers_allocate_nothing_and_a_head_one_block_in_dozens() {
    answers_are_read_without_allocating();
    let table = tables::table(&tables::assignment(&[5000, 2000, 1000, 1000, 1000], 1));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let chosen: usize = (0..1000).map(|key| table.choose(key)).sum();
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before, "choosing {chosen}");

    let mut heads: Vec<_> = (0..HEADS + 10).map(|_| head()).collect();
    let table = tables::table_with(&tables::assignment(&[7500, 2500], 1), 1, |_, _| {});
    let snapshot = Snapshot::new(vec![Arc::new(table)]);
    let recorder = Rc::new(Recorder::counting(1));
    let peer = Rc::new(Peer::new(Some("192.0.2.1".parse().unwrap())));
    let (forge, mut edits) = (HeaderForge::default(), Edits::default());
    let now = Instant::now();
    let mut pass = |parts: &mut http::request::Parts| {
        let mut exchange = Exchange::begin(Rc::clone(&recorder), Rc::clone(&peer), now);
        edits.clear();
        let body = BodyLength::Unknown;
        let seen = HyperRequest { parts, body, forge: &forge };
        assert_eq!(exchange.on_request(&seen, &snapshot, &mut edits), Next::Route);
        forge.apply(&edits, &mut parts.headers);
        let _ = exchange.pick(&snapshot, now);
        edits.clear();
        let seen = HyperRequest { parts, body, forge: &forge };
        exchange.edit_for_upstream(&seen, &mut edits);
        forge.apply(&edits, &mut parts.headers);
        exchange.close(now);
    };
    heads.drain(..10).for_each(|mut parts| pass(&mut parts));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    heads.iter_mut().for_each(pass);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    println!("{allocations} allocations for {HEADS} heads");
    // What is left: a 4 KiB block for values, and its shared count, every few dozen requests.
    assert!(allocations <= HEADS / 8, "{allocations} allocations for {HEADS} heads");
}

/// Good ones and bad ones, cut into pieces of every kind. The scan has a size, and that is all it has.
fn answers_are_read_without_allocating() {
    let long = vec![b'x'; 1 << 20];
    let deep = "[".repeat(100_000);
    let bodies: Vec<Vec<u8>> = vec![
        include_bytes!("transcripts/vllm/chat_stream_usage.http").to_vec(),
        include_bytes!("transcripts/llama-server/messages_stream.http").to_vec(),
        include_bytes!("transcripts/transformers-serve/responses_stream.http").to_vec(),
        include_bytes!("transcripts/vllm/responses.http").to_vec(),
        [b"data: {\"choices\":[{\"delta\":{\"content\":\"", &long[..], b"\"}}]}\n\n"].concat(),
        [b"data: {\"", &long[..], b"\":\"", &long[..], b"\"}\n\n"].concat(),
        [b"data: {\"choices\":", deep.as_bytes(), b"\n\n"].concat(),
        [b"event: ", &long[..], b"\n", &long[..], b": 1\n: ", &long[..], b"\ndata: {}\n\n"]
            .concat(),
        [b"{\"id\":\"", &long[..], b"\",\"type\":\"", &long[..], b"\",\"n\":", &[b'7'; 5000]]
            .concat(),
        [&[0xFF; 1000][..], &[b'\\'; 1000], &[b'"'; 1001], &[b'\r'; 1000]].concat(),
    ];
    for content_type in [&b"text/event-stream"[..], b"application/json", b"application/x-ndjson"] {
        for (body, size) in bodies.iter().flat_map(|body| [1, 7, 4096].map(|size| (body, size))) {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let content_type = Some(content_type);
            let head = AnswerHead { content_type, content_encoding: None, api: Api::Chat };
            let mut scan = AnswerScan::of(&head).unwrap();
            body.chunks(size).for_each(|piece| _ = scan.push(piece));
            let verdict = scan.conclude(BodyEnd::Whole).verdict;
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before, "{verdict:?}");
        }
    }
    assert!(size_of::<AnswerScan>() <= 1024, "{} bytes", size_of::<AnswerScan>());
    println!("{} bytes for the scan of an answer", size_of::<AnswerScan>());
}

/// Twelve headers, in a map that has room for Cyan's, as the parser's has.
fn head() -> http::request::Parts {
    let mut parts = http::Request::post("/v1/chat/completions").body(()).unwrap().into_parts().0;
    parts.headers.reserve(24);
    for (name, value) in [
        ("host", "llm.example"),
        ("user-agent", "OpenAI/Python 3.52.0"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate"),
        ("authorization", "Bearer sk-0123456789"),
        ("content-type", "application/json"),
        ("content-length", "1024"),
        ("connection", "keep-alive"),
        ("x-user-id", "user-4711"),
        ("x-stainless-lang", "python"),
        ("x-stainless-retry-count", "0"),
        ("x-own", "1"),
    ] {
        parts.headers.insert(name, value.parse().unwrap());
    }
    parts
}
