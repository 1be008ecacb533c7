//! What a running Cyan answers is what its `OpenAPI` document says, for every call in it: the status, the
//! content type and every field.

use std::collections::BTreeSet;
use std::time::Duration;

use cyan::demo::mock_llm::{MockLlm, MockOptions};
use cyan::model::role::Role;
use http::Method;
use serde_json::{Value, json};

use crate::support::admin::TestAdmin;
use crate::support::client::{Answer, Client};
use crate::support::in_time;
use crate::support::serving::Serving;

/// The document, and the calls whose answers were held against it.
struct Document {
    text: Value,
    seen: BTreeSet<String>,
}

impl Document {
    /// Every call that it names.
    fn operations(&self) -> BTreeSet<String> {
        let paths = self.text["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|path| path.as_object().unwrap().values());
        operations.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect()
    }

    /// What it says of the call with this method and path.
    fn operation(&self, method: &str, path: &str) -> &Value {
        let path = path.split('?').next().unwrap();
        let fits = |template: &str| {
            let (mut known, mut asked) = (template.split('/'), path.split('/'));
            let same = |(known, asked): (&str, &str)| known.starts_with('{') || known == asked;
            known.by_ref().zip(asked.by_ref()).all(same) && known.chain(asked).next().is_none()
        };
        let mut paths = self.text["paths"].as_object().unwrap().iter();
        let described =
            paths.find(|(template, _)| fits(template)).expect("a path that is described").1;
        &described[method.to_lowercase()]
    }

    /// Holds an answer against it.
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let operation = self.operation(method, path);
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
        let response = &operation["responses"][answer.status.to_string()];
        let kind = answer.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap();
        let schema = &response["content"][kind]["schema"];
        let text: String = answer.text().chars().take(2_000).collect();
        let told = format!("{id}: {} {kind}: {text}", answer.status);
        assert!(schema.is_object(), "no such answer is described: {told}");
        if kind.ends_with("json") && kind != "application/x-ndjson" {
            let value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{told}"));
            self.fits(schema, &value, &told);
        }
        let id = id.to_owned();
        if answer.status < 400 {
            self.seen.insert(id);
        }
    }

    /// Makes a call, which has this status, and holds its answer against it.
    async fn call(&mut self, cyan: &Serving, method: &str, path: &str, body: &str, status: u16) {
        let answer = call(cyan, method, path, "", body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text());
        self.check(method, path, &answer);
    }

    fn fits(&self, schema: &Value, value: &Value, told: &str) {
        let whole = json!({ "allOf": [schema], "components": self.text["components"] });
        let schema = jsonschema::draft202012::new(&whole).expect("a schema");
        let errors: Vec<_> =
            schema.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{told}\n{}", errors.join("\n"));
    }
}

async fn call(cyan: &Serving, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(cyan.admin).await;
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n");
    client.send(format!("{head}{headers}\r\n{body}")).await;
    client.answer().await
}

const CONFIG: &str = "
[service.chat.force]
trusted = '127.0.0.1'
[service.chat.rollout]
steps = ['1%', '100%']
[service.chat.rollout.smoke.health]
path = '/health'
[service.chat.rollout.quality]
threshold = 0.5
exec = ['/bin/echo', '{\"score\": 0.9, \"cases\": 40}']
";

/// Method, path below /v1/services/chat, body, status; in an order in which each is possible.
const CALLS: &[(&str, &str, &str, u16)] = &[
    ("GET", "", "", 200),
    ("PUT", "/weights?dry_run=true", r#"{"weights":{"blue":90,"green":10}}"#, 200),
    ("PUT", "/weights", r#"{"weights":{"blue":90,"green":10}}"#, 200),
    ("PUT", "/weights", r#"{"weights":{"blue":90,"green":20}}"#, 422),
    ("PUT", "/weights", r#"{"weights":{"blue":100,"green":0},"generation":1}"#, 409),
    ("PUT", "/weights", r#"{"weights":{"blue":100,"green":0}}"#, 200),
    ("POST", "/switch?dry_run=true", "", 200),
    ("POST", "/switch", r#"{"to":"green"}"#, 200),
    ("POST", "/rollback?dry_run=true", "", 200),
    ("POST", "/rollback", r#"{"reason":"enough"}"#, 200),
    ("PUT", "/freeze", r#"{"reason":"weekend","until":"2126-11-23T08:00:00Z"}"#, 200),
    ("GET", "", "", 200),
    ("PUT", "/freeze", "{}", 422),
    ("DELETE", "/freeze", "", 200),
    ("GET", "/rollout", "", 404),
    ("PUT", "/environments/red", r#"{"upstreams":["http://127.0.0.1:9"],"version":"v1"}"#, 200),
    ("PUT", "/environments/green", r#"{"version":"v2"}"#, 200),
    ("GET", "/environments/green", "", 200),
    ("POST", "/environments/green/reset", r#"{"field":"version"}"#, 200),
    ("GET", "/environments/green/ready", "", 200),
    ("GET", "/environments/red/ready", "", 200),
    ("POST", "/environments/red/drain", r#"{"deadline":"1s"}"#, 200),
    ("DELETE", "/environments/red", "", 200),
    ("DELETE", "/environments/blue", "", 409),
    ("POST", "/environments/green/smoke", "", 200),
    ("POST", "/environments/green/evaluate", "", 200),
    ("GET", "/comparison?window=1m", "", 200),
    ("GET", "/environments/blue/stats?window=start", "", 200),
    ("GET", "/environments/blue/histogram?metric=ttft", "", 200),
    ("GET", "/environments/blue/histogram?metric=total&encoding=hdr-v2", "", 200),
    ("GET", "/environments/blue/histogram?metric=guess", "", 422),
    ("GET", "/environments/blue/cohorts?seconds=60", "", 200),
    ("GET", "/environments/blue/cohorts?seconds=0", "", 422),
    ("POST", "/rollout", r#"{"candidate":"green","reason":"v2"}"#, 200),
    ("POST", "/rollout", r#"{"candidate":"green"}"#, 409),
    ("GET", "/rollout", "", 200),
    ("GET", "", "", 200),
];

/// The same once users meet the candidate.
const RAMP_CALLS: &[(&str, &str, &str, u16)] = &[
    ("POST", "/rollout/pause?dry_run=true", r#"{"reason":"lunch"}"#, 200),
    ("POST", "/rollout/release?dry_run=true", "", 409),
    ("POST", "/rollback?dry_run=true", "", 200),
    ("POST", "/rollout/mute", "", 409),
    ("POST", "/rollout/pause", r#"{"reason":"lunch"}"#, 200),
    ("GET", "/rollout", "", 200),
    ("POST", "/rollout/rollback", r#"{"reason":"enough"}"#, 200),
    ("GET", "/rollout", "", 200),
    ("GET", "/rollouts?limit=1", "", 200),
    ("GET", "/rollouts?limit=0", "", 422),
    ("GET", "/rollouts/1/records", "", 200),
    ("GET", "/rollouts/9/records", "", 404),
];

/// The same of the whole process.
const PROCESS_CALLS: &[(&str, &str, &str, u16)] = &[
    ("GET", "/v1/status", "", 200),
    ("GET", "/v1/services", "", 200),
    ("GET", "/v1/services/none", "", 404),
    ("GET", "/v1/services/No", "", 422),
    ("POST", "/v1/scores", r#"{"environment":"blue","value":0.9}"#, 200),
    (
        "POST",
        "/v1/scores",
        r#"[{"environment":"blue","value":2},{"environment":"none","value":1}]"#,
        422,
    ),
    ("GET", "/v1/config", "", 200),
    ("GET", "/v1/journal?limit=500", "", 200),
    ("GET", "/v1/journal?limit=501", "", 422),
    ("POST", "/v1/reload", "", 200),
    ("POST", "/v1/reload", "{", 400),
    ("POST", "/v1/reload", "[]", 422),
    ("GET", "/v1/log-level", "", 200),
    ("PUT", "/v1/log-level", r#"{"level":"warn"}"#, 200),
    ("PUT", "/v1/log-level", r#"{"level":"loud"}"#, 422),
    ("GET", "/v1/openapi.json", "", 200),
    ("GET", "/metrics", "", 200),
    ("GET", "/livez", "", 200),
    ("GET", "/readyz", "", 200),
    ("GET", "/problems/invalid", "", 200),
    ("GET", "/problems/none", "", 404),
];

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let mock = || MockLlm::start(MockOptions::named("mock").instant()).unwrap();
    let (blue, green) = (mock(), mock());
    let environment = |name: &str, url: String, weight| {
        format!(
            "[service.chat.environment.{name}]\nupstreams = '{url}'\nversion = 'v1'\nweight = {weight}\n"
        )
    };
    let environments =
        [environment("blue", blue.url(), 100), environment("green", green.url(), 0)].concat();
    let cyan = Serving::start(&format!("{environments}{CONFIG}")).await;
    let chat = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    cyan.client().await.post("/v1/chat/completions", "", chat).await;

    let text = call(&cyan, "GET", "/v1/openapi.json", "", "").await;
    let text = serde_json::from_slice(&text.body).unwrap();
    let mut document = Document { text, seen: BTreeSet::new() };
    let below = |path: &str| format!("/v1/services/chat{path}");
    for &(method, path, body, status) in CALLS {
        document.call(&cyan, method, &below(path), body, status).await;
    }
    in_time(recorded(&cyan)).await;
    for &(method, path, body, status) in RAMP_CALLS {
        document.call(&cyan, method, &below(path), body, status).await;
    }
    for &(method, path, body, status) in PROCESS_CALLS {
        document.call(&cyan, method, path, body, status).await;
    }
    let late = call(&cyan, "POST", "/v1/services/chat/switch", "if-match: \"1\"\r\n", "").await;
    assert_eq!(late.status, 412);
    document.check("POST", "/v1/services/chat/switch", &late);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let form = call(&cyan, "POST", "/v1/services/chat/switch", form, "to=green").await;
    assert_eq!(form.status, 415);
    document.check("POST", "/v1/services/chat/switch", &form);
    events(&cyan, &mut document).await;
    assert_eq!(document.operations(), document.seen);
}

/// Returns when users have met the candidate, and what they saw is recorded.
async fn recorded(cyan: &Serving) {
    let path = "/v1/services/chat/rollouts/1/records";
    while call(cyan, "GET", path, "", "").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Answers that go on: their beginning, and the data of an event.
async fn events(cyan: &Serving, document: &mut Document) {
    for path in ["/v1/events?since=0", "/v1/requests"] {
        let mut client = Client::connect(cyan.admin).await;
        client.send(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")).await;
        let head = String::from_utf8(in_time(client.read_until(b"\r\n\r\n")).await).unwrap();
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/event-stream"),
            "{head}"
        );
        let operation = document.operation("GET", path);
        assert!(operation["responses"]["200"]["content"]["text/event-stream"].is_object());
        let id = operation["operationId"].as_str().unwrap().to_owned();
        document.seen.insert(id);
        if path.starts_with("/v1/events") {
            in_time(client.read_until(b"\ndata: ")).await;
            let data = in_time(client.read_until(b"\n\n")).await;
            let event = serde_json::from_slice(&data).unwrap();
            let told = String::from_utf8_lossy(&data);
            document.fits(&json!({ "$ref": "#/components/schemas/Event" }), &event, &told);
        }
    }
}

#[tokio::test]
async fn a_call_that_the_document_does_not_have_is_a_problem_too() {
    let cyan = Serving::start("[environment.blue]\nupstreams = 'http://127.0.0.1:9'\n").await;
    for (method, path, status, allow) in [
        ("GET", "/v1/nothing", 404, None),
        ("GET", "/v1/status/", 404, None),
        ("DELETE", "/v1/status", 405, Some("GET,HEAD")),
        ("GET", "/v1/services/default/switch", 405, Some("POST")),
        ("TRACE", "/v1/services/default/freeze", 405, Some("PUT,DELETE")),
        ("GET", "/v1/services/%FF", 400, None),
        ("GET", "/problems/%FF", 400, None),
        ("GET", "/dashboard/%FF", 400, None),
        ("GET", "/dashboard/nothing.js", 404, None),
        ("GET", "/v1/journal?limit=many", 422, None),
        ("PUT", "/v1/services/default/weights?dry-run=true", 422, None),
    ] {
        let answer = call(&cyan, method, path, "", "").await;
        let told = format!("{method} {path}: {} {}", answer.status, answer.text());
        assert_eq!(answer.status, status, "{told}");
        assert_eq!(answer.header("allow"), allow, "{told}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{told}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["instance"].as_str(), answer.header("x-request-id"), "{told}");
        let page = call(&cyan, "GET", problem["type"].as_str().unwrap(), "", "").await;
        assert!(page.status == 200 && page.text().contains(problem["title"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn every_call_that_is_not_open_asks_for_a_token_and_every_change_for_its_role() {
    let admin = TestAdmin::for_callers(&[("grafana", "reads-only", Role::Read)]).await;
    let document = admin.get("/v1/openapi.json").await.json();
    let reads = [("authorization", "Bearer reads-only")];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"] == json!([]) {
                continue;
            }
            let path = path.replace(['{', '}'], "");
            let method: Method = method.to_uppercase().parse().unwrap();
            let nobody = admin.call(method.clone(), &path, &[], "").await;
            assert_eq!(nobody.status.as_u16(), 401, "{method} {path}");
            if method != Method::GET {
                let reader = admin.call(method.clone(), &path, &reads, "").await;
                assert_eq!(reader.json()["type"], "/problems/forbidden", "{method} {path}");
            }
        }
    }
}
