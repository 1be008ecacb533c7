//! What reading one event of a stream costs, for the events that streams mostly consist of.
//!
//! Two forms. `cargo bench --bench inspect` prints times and throughput. `benches/inspect.sh` runs the same
//! under callgrind and prints instructions per event, which hold on a noisy machine.

use std::hint::black_box;
use std::time::Duration;

use cyan::inspect::answer::{AnswerHead, AnswerScan};
use cyan::model::api::Api;

/// A name, what was asked for, and one event as the server sends it, from the captured streams.
const EVENTS: &[(&str, Api, &str)] = &[
    (
        "vllm-chat",
        Api::Chat,
        concat!(
            r#"data: {"id":"chatcmpl-9f9f3c1fdc46d78e","object":"chat.completion.chunk","#,
            r#""created":1795211365,"model":"demo-llm","choices":[{"index":0,"delta":{"content":" larare"},"#,
            r#""logprobs":null,"finish_reason":null,"token_ids":null}]}"#,
            "\n\n"
        ),
    ),
    (
        "llama-server-chat",
        Api::Chat,
        concat!(
            r#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" larare"}}],"#,
            r#""created":1795214234,"id":"chatcmpl-lLAQRPklIpT1wg8nAZjm8cGDG7yFbT08","model":"demo-llm","#,
            r#""system_fingerprint":"b1-0c1e570","object":"chat.completion.chunk"}"#,
            "\n\n"
        ),
    ),
    (
        "messages",
        Api::Messages,
        concat!(
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" larare"}}"#,
            "\n\n"
        ),
    ),
    (
        "responses",
        Api::Responses,
        concat!(
            "event: response.output_text.delta\n",
            r#"data: {"type":"response.output_text.delta","item_id":"msg_yA4MJIg33AJohf1ZD2IwZLumy5yKXZfX","#,
            r#""delta":" larare"}"#,
            "\n\n"
        ),
    ),
];

/// Reads an event so many times.
fn read(api: Api, event: &str, rounds: u32) {
    let content_type = Some(&b"text/event-stream"[..]);
    let head = AnswerHead { content_type, content_encoding: None, api };
    let mut scan = AnswerScan::of(&head).expect("an event stream is read");
    for _ in 0..rounds {
        let passed = scan.push(black_box(event.as_bytes()));
        assert_eq!(passed.content_events, 1);
    }
}

/// The time for which this thread had a core: what others did meanwhile is not in it.
fn time_on_core() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let nanoseconds = schedstat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok());
    Duration::from_nanos(nanoseconds.expect("its first number"))
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if let Some(wanted) = arguments.next() {
        let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
        let found = EVENTS.iter().find(|(name, _, _)| *name == wanted);
        let (_, api, event) = found.expect("one of the events by name");
        return read(*api, event, rounds);
    }
    for (name, api, event) in EVENTS {
        const ROUNDS: u32 = 1_000_000;
        read(*api, event, ROUNDS / 10);
        let began = time_on_core();
        read(*api, event, ROUNDS);
        let each = time_on_core().saturating_sub(began) / ROUNDS;
        let bytes = event.len();
        let megabytes_per_second = bytes as u128 * 1000 / each.as_nanos().max(1);
        println!("{name}: {bytes} bytes, {each:?} an event, {megabytes_per_second} MB/s");
    }
}
