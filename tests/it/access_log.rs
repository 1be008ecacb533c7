//! The access log of a whole proxy: what stands in a line, and what happens when its file goes away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cyan::config::resolved::{AccessLogSpec, LogFormat};
use cyan::model::header_id::HeaderId;
use cyan::model::service::ForceRule;
use serde_json::Value;

use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::serving::Serving;
use crate::support::upstream::Upstream;

/// A log in a folder of its own.
struct Log {
    folder: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn spec(&self, format: LogFormat, sample: f64) -> AccessLogSpec {
        AccessLogSpec { path: self.path(), sample, format }
    }

    fn proxy(&self, upstream: &Upstream, format: LogFormat, sample: f64) -> Proxy {
        let mut builder = Builder::new(vec![environment("blue", &[upstream])]);
        builder.config.access_log = Some(self.spec(format, sample));
        builder.start()
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.path())
    }

    /// Waits for so many lines.
    async fn has(&self, count: usize) -> Vec<String> {
        eventually("lines in the log", || self.lines().len() >= count).await;
        self.lines()
    }
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_line_tells_how_a_request_went_and_nothing_that_is_secret() {
    let log = Log::new();
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = log.proxy(&upstream, LogFormat::Json, 1.0);
    let secrets = "authorization: Bearer sk-secret\r\nx-user-id: secret-user\r\n\
                   cookie: secret=1\r\nx-request-id: r-7\r\n";
    let path = "/v1/chat/completions?key=secret";
    let answer = proxy.client().await.post(path, secrets, "{\"prompt\":\"secret\"}").await;
    assert_eq!(answer.status, 200);
    let line = log.has(1).await.remove(0);
    assert!(!line.contains("secret"), "{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    for (field, expected) in [
        ("request_id", "r-7"),
        ("service", "chat"),
        ("environment", "blue"),
        ("sticky", "header:x-user-id"),
        ("client", "127.0.0.1"),
        ("method", "POST"),
        ("path", "/v1/chat/completions"),
        ("verdict", "complete"),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["request_bytes"], 19);
    assert_eq!(line["response_bytes"], 5);
    assert_eq!(line["upstream"], upstream.url());
    assert!(line["total_ms"].as_f64().unwrap() > 0.0, "{line}");
    assert!(
        line["served_by"].is_null() && line["reason"].is_null() && line["problem"].is_null(),
        "{line}"
    );
    let exchange = answer.header("x-cyan-exchange").unwrap();
    assert!(exchange.ends_with(line["exchange"].as_str().unwrap()), "{exchange} {line}");
}

#[tokio::test]
async fn why_no_upstream_was_reached_is_told_to_operators_and_not_to_clients() {
    let log = Log::new();
    let gone =
        [Upstream::replying(200, "").await.address, Upstream::replying(200, "").await.address];
    let mut blue = environment("blue", &[]);
    blue.upstreams =
        gone.iter().map(|address| format!("http://{address}").parse().unwrap()).collect();
    let mut builder = Builder::new(vec![blue]);
    builder.config.access_log = Some(log.spec(LogFormat::Json, 1.0));
    let proxy = builder.start();
    let by_lean = proxy.client().await.get("/", "").await;
    let mut client = proxy.client().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
    for answer in [by_lean, client.answer().await] {
        assert_eq!(answer.status, 502);
        assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    }
    for line in log.has(2).await {
        let line: Value = serde_json::from_str(&line).unwrap();
        let problem = line["problem"].as_str().expect("a problem");
        for address in gone {
            assert!(problem.contains(&format!("http://{address}: ")), "{problem}");
        }
        assert!(problem.contains("refused") && problem.contains("; "), "{problem}");
        assert_eq!(line["reason"], "connect");
    }
}

#[tokio::test]
async fn logfmt_is_one_line_whatever_a_client_writes() {
    let log = Log::new();
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = log.proxy(&upstream, LogFormat::Logfmt, 1.0);
    let path = "/a=x%0Averdict=shed?b=c";
    proxy.client().await.get(path, "x-request-id: a\"b c\r\n").await;
    let line = log.has(1).await.remove(0);
    assert!(line.contains(" path=\"/a=x%0Averdict=shed\" "), "{line}");
    assert!(line.contains(" verdict=complete "), "{line}");
    assert!(!line.contains("a\\\"b"), "an id that is not plain is replaced: {line}");
}

#[tokio::test]
async fn sampling_leaves_out_only_what_went_well() {
    let log = Log::new();
    let upstream = Upstream::scripted(|mut visit| async move {
        while let Some(head) = visit.request().await {
            let status = if head.contains("GET /bad") { 500 } else { 200 };
            visit.send(format!("HTTP/1.1 {status} Yes\r\ncontent-length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let mut builder = Builder::new(vec![environment("blue", &[&upstream])]).service(|service| {
        let trusted = vec!["127.0.0.0/8".parse().unwrap()];
        let header = HeaderId::X_CYAN_ENVIRONMENT;
        service.force = Some(ForceRule { header, cookie: None, trusted, secret: None });
    });
    builder.config.access_log = Some(log.spec(LogFormat::Json, 0.0));
    let proxy = builder.start();
    let mut client = proxy.client().await;
    for _ in 0..20 {
        client.get("/good", "").await;
    }
    client.get("/bad", "").await;
    client.get("/forced", "x-cyan-environment: blue\r\n").await;
    let lines = log.has(2).await;
    let paths: Vec<_> = lines.iter().map(|line| field(line, "path")).collect();
    assert_eq!(paths, ["/bad", "/forced"]);
}

#[tokio::test]
async fn the_last_line_is_written_before_the_end() {
    let log = Log::new();
    let upstream = Upstream::replying(200, "hello").await;
    for round in 1..=5 {
        let proxy = log.proxy(&upstream, LogFormat::Json, 1.0);
        proxy.client().await.get("/", "").await;
        proxy.shut_down().await.unwrap();
        assert_eq!(log.lines().len(), round);
    }
}

/// As logrotate does it: move the file, send SIGHUP, and compress what was moved.
#[tokio::test]
async fn a_moved_file_is_followed_and_no_line_is_lost() {
    let log = Log::new();
    let upstream = Upstream::replying(200, "hello").await;
    let table = format!(
        "[access_log]\npath = \"{}\"\n[environment.blue]\nupstreams = \"{}\"",
        log.path().display(),
        upstream.url()
    );
    let cyan = Serving::start(&table).await;
    let mut client = cyan.client().await;
    client.get("/1", "").await;
    log.has(1).await;
    let moved = log.folder.path().join("access.log.1");
    std::fs::rename(log.path(), &moved).unwrap();
    cyan.signal(libc::SIGHUP);
    eventually("a new file", || log.path().exists()).await;
    client.get("/2", "").await;
    log.has(1).await;
    std::fs::remove_file(log.path()).unwrap(); // without a word
    eventually("a new file", || log.path().exists()).await;
    client.get("/3", "").await;
    let paths = |lines: Vec<String>| lines.iter().map(|l| field(l, "path")).collect::<Vec<_>>();
    assert_eq!(paths(log.has(1).await), ["/3"]);
    assert_eq!(paths(lines(&moved)), ["/1"]);
}

/// `/dev/full` is a disk without room.
#[tokio::test]
async fn a_full_disk_loses_lines_and_counts_them_and_serving_goes_on() {
    let log = Log::new();
    std::os::unix::fs::symlink("/dev/full", log.path()).unwrap();
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = log.proxy(&upstream, LogFormat::Json, 1.0);
    let mut client = proxy.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/lost", "").await.status, 200);
    }
    let lost = || proxy.app().controller().totals().log_lines_lost;
    eventually("ten lines are counted as lost", || lost() == 10).await;
    std::fs::remove_file(log.path()).unwrap(); // room again
    eventually("a new file", || log.path().exists()).await;
    client.get("/written", "").await;
    assert_eq!(field(&log.has(1).await[0], "path"), "/written");
    tokio::time::timeout(Duration::from_secs(5), proxy.adds_up()).await.unwrap();
    assert_eq!(lost(), 10);
}

fn field(line: &str, name: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    line[name].as_str().unwrap_or_default().to_owned()
}
