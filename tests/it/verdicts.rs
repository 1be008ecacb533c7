//! Every exchange gets the verdict that its bytes deserve, whatever its status says.

use std::collections::HashMap;
use std::time::Duration;

use cyan::config::resolved::{AccessLogSpec, LogFormat};
use cyan::model::environment::EnvironmentSpec;
use cyan::model::verdict::Verdict;

use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::{Upstream, Visit};

const SSE: &str = "text/event-stream";
const JSON: &str = "application/json";
const CHAT: &str = "/v1/chat/completions";

/// A chunk of a chat stream.
fn delta(content: &str, finish: &str) -> String {
    format!(
        "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\
         \"{content}\"}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

/// One exchange: what is asked for, what is answered, and what that is worth.
struct Case {
    path: &'static str,
    kind: &'static str,
    body: String,
    /// The connection breaks before the last chunk.
    is_cut: bool,
    verdict: &'static str,
}

fn case(
    path: &'static str,
    kind: &'static str,
    body: impl Into<String>,
    verdict: &'static str,
) -> Case {
    Case { path, kind, body: body.into(), is_cut: false, verdict }
}

fn cut(mut case: Case) -> Case {
    case.is_cut = true;
    case
}

fn cases() -> Vec<Case> {
    let (said, stop) = (delta("hello", "null"), delta("", "\"stop\""));
    let done = "data: [DONE]\n\n";
    vec![
        case(CHAT, SSE, format!("{said}{stop}{done}"), "complete"),
        case(CHAT, SSE, format!("{said}{stop}"), "complete"),
        case(CHAT, SSE, format!("{said}{}{done}", delta("", "\"length\"")), "length"),
        case(CHAT, SSE, format!("{said}{}{done}", delta("", "\"content_filter\"")), "filtered"),
        case(CHAT, SSE, format!("{said}{}{done}", delta("", "\"abort\"")), "aborted_by_server"),
        case(CHAT, SSE, format!("{}{stop}{done}", delta("", "null")), "empty"),
        case(CHAT, SSE, "", "empty"),
        case(CHAT, SSE, said.clone(), "truncated"),
        case(CHAT, SSE, format!("{said}{done}"), "truncated"),
        cut(case(CHAT, SSE, said.clone(), "truncated")),
        cut(case(CHAT, SSE, format!("{said}{stop}{done}"), "complete")),
        case(
            CHAT,
            SSE,
            format!(
                "{said}data: {{\"error\":{{\"message\":\"out of memory\",\"code\":500}}}}\n\n{done}"
            ),
            "error_in_band",
        ),
        case(CHAT, JSON, r#"{"error":{"message":"no"}}"#, "error_in_band"),
        case(
            CHAT,
            JSON,
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#,
            "complete",
        ),
        case(
            CHAT,
            JSON,
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#,
            "empty",
        ),
        case(
            "/v1/messages",
            SSE,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":0}}}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"},\"index\":0}\n\n\
             event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"later\"}}\n\n",
            "error_in_band",
        ),
        case(
            "/v1/responses",
            SSE,
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\"}}\n\n\
             event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\"}}}\n\n",
            "error_in_band",
        ),
        case(
            "/api/chat",
            "application/x-ndjson",
            "{\"message\":{\"content\":\"hi\"},\"done\":false}\n{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n",
            "complete",
        ),
        case(CHAT, "text/html", "<html>Sign in</html>", "empty"),
        case("/signup", "text/html", "<html>Sign in</html>", "complete"),
        case("/files/1", "application/octet-stream", "anything", "complete"),
        cut(case("/files/2", "application/octet-stream", "anything", "truncated")),
        case("/events", SSE, "data: news\n\n", "complete"),
        case("/v1/models", JSON, r#"{"object":"list","data":[]}"#, "complete"),
    ]
}

/// Answers `/N…` with case N, in chunks that fall where they like.
async fn upstream() -> Upstream {
    Upstream::scripted(|mut visit| async move {
        let cases = cases();
        while let Some(head) = visit.request().await {
            let number = head.split('/').nth(1).and_then(|number| number.parse::<usize>().ok());
            let case = &cases[number.expect("paths begin with the number of a case")];
            begin(&mut visit, case.kind).await;
            for piece in case.body.as_bytes().chunks(37) {
                chunk(&mut visit, piece).await;
            }
            if case.is_cut {
                return;
            }
            visit.send("0\r\n\r\n").await;
        }
    })
    .await
}

async fn begin(visit: &mut Visit, kind: &str) {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    visit.send(head).await;
}

async fn chunk(visit: &mut Visit, piece: impl AsRef<[u8]>) {
    let piece = piece.as_ref();
    visit.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await;
}

/// A proxy before `blue` that logs every request.
fn logging(
    upstream: &Upstream,
    change: impl FnOnce(&mut EnvironmentSpec),
) -> (Proxy, tempfile::NamedTempFile) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut blue = environment("blue", &[upstream]);
    change(&mut blue);
    let mut builder = Builder::new(vec![blue]);
    let (path, format) = (log.path().to_owned(), LogFormat::Json);
    builder.config.access_log = Some(AccessLogSpec { path, sample: 1.0, format });
    (builder.start(), log)
}

/// The log's lines by path, once there are so many.
async fn lines(log: &tempfile::NamedTempFile, count: usize) -> HashMap<String, serde_json::Value> {
    let text = || std::fs::read_to_string(log.path()).unwrap();
    eventually("every request is in the log", || text().lines().count() == count).await;
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    text()
        .lines()
        .map(parse)
        .map(|line| (line["path"].as_str().unwrap().to_owned(), line))
        .collect()
}

#[tokio::test]
async fn answers_are_judged_by_what_they_say() {
    let upstream = upstream().await;
    let (proxy, log) = logging(&upstream, |_| {});
    let cases = cases();
    for (number, case) in cases.iter().enumerate() {
        let mut client = proxy.client().await;
        let answer = client.post(&format!("/{number}{}", case.path), "", "{}").await;
        assert_eq!(answer.text(), case.body, "case {number}: every byte is passed on");
        assert_eq!(answer.is_whole, !case.is_cut, "case {number}");
    }
    let lines = lines(&log, cases.len()).await;
    for (number, case) in cases.iter().enumerate() {
        let line = &lines[&format!("/{number}{}", case.path)];
        assert_eq!(line["verdict"], case.verdict, "case {number}: {}", case.body);
    }
    proxy.adds_up().await;
}

#[tokio::test]
async fn an_answer_without_a_byte_is_none_where_something_was_to_be_said() {
    const HEADS: [&str; 4] = [
        "204 No Content",
        "200 OK\r\ncontent-length: 0",
        "200 OK\r\ncontent-type: application/json\r\ncontent-length: 0",
        "200 OK\r\ncontent-type: text/plain\r\nconnection: close",
    ];
    let upstream = Upstream::scripted(|mut visit| async move {
        let Some(head) = visit.request().await else { return };
        let number = head.split('/').nth(1).and_then(|number| number.parse::<usize>().ok());
        let head = HEADS[number.expect("paths begin with the number of a case")];
        visit.send(format!("HTTP/1.1 {head}\r\n\r\n")).await;
    })
    .await;
    let (proxy, log) = logging(&upstream, |_| {});
    for (number, head) in HEADS.iter().enumerate() {
        for path in [CHAT, "/files"] {
            let path = format!("/{number}{path}");
            assert!(proxy.client().await.post(&path, "", "{}").await.is_whole, "{head}");
        }
    }
    let lines = lines(&log, 2 * HEADS.len()).await;
    for (number, head) in HEADS.iter().enumerate() {
        assert_eq!(lines[&format!("/{number}{CHAT}")]["verdict"], "empty", "{head}");
        assert_eq!(lines[&format!("/{number}/files")]["verdict"], "complete", "{head}");
    }
}

#[tokio::test]
async fn an_environment_that_is_not_inspected_is_judged_by_wholeness() {
    let upstream = upstream().await;
    let (proxy, log) = logging(&upstream, |blue| blue.inspect = false);
    let cases = cases();
    for number in 0..cases.len() {
        proxy.client().await.post(&format!("/{number}{CHAT}"), "", "{}").await;
    }
    let lines = lines(&log, cases.len()).await;
    for (number, case) in cases.iter().enumerate() {
        let expected = if case.is_cut { "truncated" } else { "complete" };
        assert_eq!(lines[&format!("/{number}{CHAT}")]["verdict"], expected, "case {number}");
    }
}

/// By the paths of models, `GET` lists what was stored before: none is asked, so none is silent.
#[tokio::test]
async fn what_is_only_looked_up_may_be_an_empty_list() {
    let upstream = Upstream::scripted(|mut visit| async move {
        while visit.request().await.is_some() {
            begin(&mut visit, JSON).await;
            chunk(&mut visit, "{\"object\":\"list\",\"data\":[]}").await;
            visit.send("0\r\n\r\n").await;
        }
    })
    .await;
    let (proxy, log) = logging(&upstream, |_| {});
    let paths =
        [CHAT, "/v1/messages", "/v1/responses", "/v1/responses/r/input_items", "/v1/embeddings"];
    let mut client = proxy.client().await;
    for path in paths {
        assert!(client.get(path, "").await.is_whole);
    }
    let lines = lines(&log, paths.len()).await;
    for path in paths {
        assert_eq!(lines[path]["verdict"], "complete", "{path}");
    }
    client.post("/v1/embeddings", "", "{}").await;
    proxy.settles("blue", Verdict::Empty, 1).await;
}

/// Sends a role, pings and one word, then waits for its client to leave.
async fn falls_silent(ping: bool) -> Upstream {
    Upstream::scripted(move |mut visit| async move {
        visit.request().await;
        begin(&mut visit, SSE).await;
        chunk(&mut visit, delta("", "null")).await;
        if !ping {
            chunk(&mut visit, delta("hello", "null")).await;
        }
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            chunk(&mut visit, ": ping\n\n").await;
            if visit.has_left() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_stalled_stream_counts_at_once_and_goes_on() {
    let upstream = falls_silent(false).await;
    let (proxy, log) =
        logging(&upstream, |blue| blue.timeouts.stalled = Some(Duration::from_millis(200)));
    let mut client = proxy.client().await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n");
    client.send(head).await;
    client.read_until(b"hello").await;
    eventually("it counts while it is open", || proxy.verdicts("blue", Verdict::Stalled) == 1)
        .await;
    assert_eq!(proxy.in_flight("blue"), 1, "a verdict is not a cut");
    client.read_until(b"ping").await;
    drop(client);
    proxy.settles("blue", Verdict::Stalled, 1).await;
    assert_eq!(lines(&log, 1).await[CHAT]["verdict"], "stalled", "once, and the same in the log");
}

#[tokio::test]
async fn pings_are_no_content() {
    let upstream = falls_silent(true).await;
    let limit = Some(Duration::from_millis(200));
    let (proxy, log) = logging(&upstream, |blue| blue.timeouts.first_content = limit);
    let answer = proxy.client().await.post(CHAT, "", "{}").await;
    assert!(!answer.is_whole, "never a clean end: {answer:?}");
    proxy.settles("blue", Verdict::Timeout, 1).await;
    assert!(lines(&log, 1).await[CHAT]["ttft_ms"].is_null());
    // Another kind of stream need not have any content.
    let mut client = proxy.client().await;
    client.send("GET /events HTTP/1.1\r\nhost: test\r\n\r\n").await;
    for _ in 0..20 {
        client.read_until(b"ping").await;
    }
    assert_eq!(proxy.in_flight("blue"), 1);
}

#[tokio::test]
async fn an_error_in_a_stream_counts_before_its_end() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        begin(&mut visit, SSE).await;
        chunk(&mut visit, delta("hello", "null")).await;
        chunk(&mut visit, "data: {\"error\":{\"message\":\"engine died\"}}\n\n").await;
        visit.until_closed().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send(format!("POST {CHAT} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n")).await;
    client.read_until(b"engine died").await;
    let counted = || proxy.verdicts("blue", Verdict::ErrorInBand) == 1;
    eventually("it counts while it is open", counted).await;
    assert_eq!(proxy.in_flight("blue"), 1);
    drop(client);
    proxy.settles("blue", Verdict::ErrorInBand, 1).await;
}

/// The SDKs stop reading at `[DONE]` and close: the rest of the framing is nobody's loss.
#[tokio::test]
async fn who_leaves_after_the_last_word_has_the_whole_answer() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        begin(&mut visit, SSE).await;
        let words = [delta("hello", "null"), delta("", "\"stop\""), "data: [DONE]\n\n".into()];
        chunk(&mut visit, words.concat()).await;
        visit.until_closed().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send(format!("POST {CHAT} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n")).await;
    client.read_until(b"[DONE]").await;
    drop(client);
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_compressed_answer_is_asked_not_to_be_and_told_apart() {
    let upstream = Upstream::scripted(|mut visit| async move {
        while visit.request().await.is_some() {
            visit
                .send(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
                     content-length: 4\r\n\r\n\x1f\x08zz",
                )
                .await;
        }
    })
    .await;
    let (proxy, log) = logging(&upstream, |_| {});
    let mut client = proxy.client().await;
    let answer = client.post(CHAT, "accept-encoding: gzip, br\r\n", "{}").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    client.get("/page", "accept-encoding: gzip, br\r\n").await;
    let heads = upstream.heads();
    assert!(heads[0].to_lowercase().contains("accept-encoding: identity"), "{}", heads[0]);
    assert!(heads[1].contains("gzip, br"), "what is no question to a model stays: {}", heads[1]);
    let line = &lines(&log, 2).await[CHAT];
    assert_eq!(
        (line["verdict"].as_str(), line["inspection"].as_str()),
        (Some("complete"), Some("compressed"))
    );
}

#[tokio::test]
async fn tokens_times_and_the_finish_reason_are_told() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        begin(&mut visit, SSE).await;
        for word in ["", "one", "two", "three"] {
            chunk(&mut visit, delta(word, "null")).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        chunk(&mut visit, delta("", "\"stop\"")).await;
        chunk(
            &mut visit,
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":4,\
             \"prompt_tokens_details\":{\"cached_tokens\":8}}}\n\ndata: [DONE]\n\n",
        )
        .await;
        visit.send("0\r\n\r\n").await;
    })
    .await;
    let (proxy, log) = logging(&upstream, |_| {});
    let retry = "x-stainless-retry-count: 1\r\n";
    assert!(proxy.client().await.post(CHAT, retry, "{}").await.is_whole);
    let line = &lines(&log, 1).await[CHAT];
    let number = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("{name} in {line}"));
    assert_eq!(line["finish"], "stop");
    assert_eq!(
        (number("tokens_in"), number("tokens_out"), number("tokens_cached")),
        (11.0, 4.0, 8.0)
    );
    // The role came first, 30 ms before the first word; two gaps of 30 ms or more follow.
    assert!((30.0..500.0).contains(&number("ttft_ms")), "{line}");
    assert!((28.0..500.0).contains(&number("gap_max_ms")), "{line}");
    assert!((18.0..500.0).contains(&number("tpot_ms")), "60 ms over three tokens: {line}");
}
