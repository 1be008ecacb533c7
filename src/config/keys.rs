//! Every key that a config may have: the one list.
//!
//! The reader refuses what is not in it, and may not read what is not in it; `config/reference.toml` and
//! `docs/reference/config.md` are printed from it (`reference`). Tests hold it against the truth: a
//! default written out changes nothing, an example changes something, every key is read.
//!
//! `NAME` in a path stands for a name that the operator chooses. Values are TOML, with `'` for `"`.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A text.
    Text,
    /// A text, or a list of texts.
    Texts,
    /// A file or directory.
    Path,
    /// `5s`.
    Duration,
    /// `5s`, or `off`.
    DurationOrOff,
    /// `32MiB`.
    Size,
    /// A whole number.
    Whole,
    /// A number that may have a fraction.
    Number,
    /// A text that is never printed.
    Secret,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Text,
        Self::Texts,
        Self::Path,
        Self::Duration,
        Self::DurationOrOff,
        Self::Size,
        Self::Whole,
        Self::Number,
        Self::Secret,
    ];

    /// Its name in errors and documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "text or list of texts",
            Self::Path => "path",
            Self::Duration => "duration",
            Self::DurationOrOff => "duration or `off`",
            Self::Size => "size",
            Self::Whole => "whole number",
            Self::Number => "number",
            Self::Secret => "secret",
        }
    }

    /// How it is written, in one sentence.
    pub fn form(self) -> &'static str {
        match self {
            Self::Text => {
                "A string; `${VAR}` is taken from the environment, `$$` is a dollar sign."
            }
            Self::Texts => "One string, or a list of strings in brackets.",
            Self::Path => "A string; relative paths begin at the working directory.",
            Self::Duration => {
                "A string of numbers with units `d`, `h`, `m`, `s`, `ms`: `\"1h30m\"`."
            }
            Self::DurationOrOff => "As a duration; `\"off\"` for no limit.",
            Self::Size => {
                "A string with unit `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`, or bytes."
            }
            Self::Whole => "An integer.",
            Self::Number => "An integer, or a number with a decimal point.",
            Self::Secret => {
                "A string, or where it stands: `{ file = \"/run/secrets/key\" }`, `{ env = \"KEY\" }`."
            }
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// `service.NAME.environment.NAME.weight`
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not written; `None` where the sentence says what happens then.
    pub default: Option<&'static str>,
    /// A value other than the default.
    pub example: &'static str,
    /// A short form of keys that are listed too, and cannot stand beside them.
    pub is_short_form: bool,
    /// One sentence: meaning, unit, range.
    pub doc: &'static str,
}

const fn preset(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { path, kind, default: Some(default), example, is_short_form: false, doc }
}

const fn unset(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default: None, example, is_short_form: false, doc }
}

const fn short(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default: None, example, is_short_form: true, doc }
}

/// What each table is about.
pub const TABLES: &[(&str, &str)] = &[
    ("", "The process."),
    ("listen", "Where clients connect. The settings hold for every address."),
    ("listen.timeouts", "Limits on time towards clients."),
    ("admin", "Where operators connect: API, metrics, dashboard."),
    ("shutdown", "How the process ends on SIGTERM."),
    ("access_log", "One line per request; without this table there is none."),
    (
        "otlp",
        "Traces and metrics, pushed by OTLP over HTTP; without this table there are none. Needs a program built with the feature `otlp`.",
    ),
    ("otlp.headers", "Headers sent along, credentials for example."),
    ("limits", "Limits of the whole process."),
    (
        "hooks.NAME",
        "A program or web address that is told what happens; see docs/reference/hooks.md.",
    ),
    (
        "service.NAME",
        "A public endpoint. With a single service its keys may stand at the top instead.",
    ),
    ("service.NAME.sticky", "What makes a user a user."),
    ("service.NAME.headers", "Names of the headers that Cyan adds; no two alike."),
    (
        "service.NAME.force",
        "Requests that name their environment, for evaluations and tests; without this table none may.",
    ),
    ("service.NAME.rollout", "What a release goes through: steps, limits, who decides."),
    ("service.NAME.rollout.limits", "Limits on the candidate that hold without a comparison."),
    (
        "service.NAME.rollout.comparison",
        "What must not be worse than on the active environment for the switch.",
    ),
    ("service.NAME.rollout.plans", "Steps of other plans, for `cyan rollout start --plan NAME`."),
    (
        "service.NAME.rollout.quality",
        "What a candidate's answers must be worth before users come; without this table nobody asks. See docs/evaluation.md.",
    ),
    (
        "service.NAME.rollout.smoke.NAME",
        "A request that every upstream of a candidate must answer as expected before users come; see docs/reference/smoke-tests.md.",
    ),
    ("service.NAME.rollout.smoke.NAME.headers", "Its headers, beside what the environment sets."),
    (
        "service.NAME.rollout.smoke.NAME.expect",
        "What its answer must be; of what is not written only the status is asked, which is any of 2xx.",
    ),
    (
        "service.NAME.rollout.probes",
        "A few tokens asked for in each API, as a stream, of every upstream of a candidate; the answer must be whole and have content.",
    ),
    ("service.NAME.rollout.probes.headers", "Their headers, beside what the environment sets."),
    (
        "service.NAME.rollout.smoke_hooks.NAME",
        "A program or web service of your own that says for every upstream of a candidate whether it passes.",
    ),
    (
        "service.NAME.environment.NAME",
        "A named deployment that gets traffic, at most 64 per service.",
    ),
    ("service.NAME.environment.NAME.set_headers", "Headers set on the way to the upstreams."),
    (
        "service.NAME.environment.NAME.models",
        "What its servers call the models that clients ask for; what is not JSON passes untouched.",
    ),
    ("service.NAME.environment.NAME.timeouts", "Limits on time towards the upstreams."),
    (
        "service.NAME.environment.NAME.health",
        "Active probes, and the silence that makes an upstream suspect.",
    ),
    (
        "service.NAME.environment.NAME.ejection",
        "Failures of connections that take an upstream out.",
    ),
    ("service.NAME.environment.NAME.pool", "Idle connections that are kept."),
    ("service.NAME.environment.NAME.tls", "TLS towards upstreams that are written `https://`."),
];

use Kind::{Duration, DurationOrOff, Number, Path, Secret, Size, Text, Texts, Whole};

/// Every key, in the order of the documentation. Keys of one table stand together.
#[rustfmt::skip] // one key, two lines
pub const KEYS: &[Key] = &[
    preset("state_dir", Path, "'./cyan-state'", "'/var/lib/cyan'",
        "Directory of state and journal; made when it is missing."),
    unset("workers", Whole, "4",
        "Threads that serve requests, 1 to 1024; when not written, one per core that the process may use."),

    unset("listen.http", Texts, "['127.0.0.1:8080', 'unix:/run/cyan.sock']",
        "Addresses that speak plain HTTP: `IP:PORT` or `unix:/path`; at least one of `http` and `https` is needed."),
    unset("listen.https", Texts, "'0.0.0.0:8443'",
        "Addresses that speak HTTP over TLS; they need a certificate and its key."),
    unset("listen.certificate_file", Path, "'/etc/cyan/tls.crt'",
        "Certificate chain in PEM, leaf first."),
    unset("listen.key_file", Path, "'/etc/cyan/tls.key'",
        "Private key of the certificate, in PEM."),
    preset("listen.trusted_proxies", Texts, "[]", "['10.0.0.0/8', '::1']",
        "Addresses or CIDR ranges whose `X-Forwarded-*` headers are believed."),
    preset("listen.connections_max", Whole, "20000", "5000",
        "Most open connections per address, 1 to 1000000; beyond it accepting pauses."),
    preset("listen.head_bytes_max", Size, "'32KiB'", "'64KiB'",
        "Most bytes of a request head, 4KiB to 1MiB; beyond it 431."),
    preset("listen.timeouts.handshake", Duration, "'5s'", "'10s'",
        "A TLS handshake."),
    preset("listen.timeouts.head", Duration, "'10s'", "'20s'",
        "From the first byte of a request head to its last."),
    preset("listen.timeouts.idle", Duration, "'1m30s'", "'2m'",
        "A connection without a request; above the 60 s that most client pools keep one."),
    preset("listen.timeouts.body_idle", Duration, "'30s'", "'1m'",
        "A request body that brings no byte."),

    preset("admin.address", Text, "'127.0.0.1:9901'", "'unix:/run/cyan-admin.sock'",
        "`IP:PORT` or `unix:/path`; an address that is not loopback needs a token."),
    unset("admin.token", Secret, "{ env = 'CYAN_ADMIN_TOKEN' }",
        "Asked for as `Authorization: Bearer …`; at least 8 characters."),
    short("admin.token_file", Path, "'/run/secrets/cyan-token'",
        "The same as `token = { file = … }`."),

    preset("shutdown.pre_stop", Duration, "'0s'", "'5s'",
        "`/readyz` answers 503 for this long while connections are still accepted; may be 0s."),
    preset("shutdown.drain", Duration, "'5m'", "'10m'",
        "Time for what is in flight after that; then it is ended."),

    preset("access_log.path", Path, "'-'", "'/var/log/cyan/access.log'",
        "A file that is appended to, or `-` for standard output."),
    preset("access_log.sample", Number, "1.0", "0.1",
        "Share of requests that are logged, 0 to 1; failed and forced ones always are."),
    preset("access_log.format", Text, "'json'", "'logfmt'",
        "How a line is written: `json` or `logfmt`; the fields are in docs/reference/access-log.md."),

    preset("otlp.endpoint", Text, "'http://127.0.0.1:4318'", "'https://otlp.example.com'",
        "The collector; `/v1/traces` and `/v1/metrics` are appended."),
    preset("otlp.interval", Duration, "'10s'", "'30s'",
        "Time between two pushes."),
    preset("otlp.sample", Number, "1.0", "0.1",
        "Share of the traces begun here that are recorded, 0 to 1; in a trace that a client began, the client decides."),
    unset("otlp.headers.NAME", Secret, "{ env = 'OTLP_KEY' }",
        "A header of this name."),

    preset("limits.body_buffer_max", Size, "'128MiB'", "'256MiB'",
        "Most bytes of request bodies held by all cores together, for sticky keys and replays; 1MiB to 1024GiB."),

    unset("hooks.NAME.on", Texts, "['rolled_back', 'alert']",
        "What it is told of: `started`, `stepped`, `switched`, `done`, `held`, `rolled_back`, `drained`, `alert`."),
    preset("hooks.NAME.services", Texts, "[]", "'chat'",
        "The services it is told of; none for every service."),
    unset("hooks.NAME.exec", Texts, "['/usr/local/bin/scale', 'down']",
        "A program and its arguments; no shell reads them. It gets the notice as JSON on its standard input."),
    unset("hooks.NAME.url", Secret, "'https://hooks.example.com/cyan'",
        "An address that gets the notice by `POST`. At least one of `exec` and `url` is needed; with both, both are told."),
    preset("hooks.NAME.format", Text, "'json'", "'slack'",
        "What the address gets: `json` for the whole notice, `slack` for `{\"text\": …}`."),
    unset("hooks.NAME.secret", Secret, "{ env = 'CYAN_HOOK_SECRET' }",
        "Key of the signature that the address gets as `X-Cyan-Signature`, at least 16 characters."),
    preset("hooks.NAME.timeout", Duration, "'10s'", "'30s'",
        "Time of one attempt; then the program and all it has started is killed."),
    preset("hooks.NAME.retries", Whole, "3", "5",
        "Attempts after the first that failed, 0 to 10; 1 s after it, then 2 s, 4 s, up to 30 s."),

    preset("service.NAME.hosts", Texts, "[]", "['api.example.com', '*.example.org']",
        "Hosts the service answers to, `*.` for every name below; none for every host."),
    preset("service.NAME.paths", Texts, "[]", "['/v1', '/embeddings']",
        "Path prefixes it answers to, each on a segment boundary; none for every path."),
    preset("service.NAME.body_max", Size, "'32MiB'", "'64MiB'",
        "Most bytes of a request body; beyond it 413."),
    unset("service.NAME.active", Text, "'blue'",
        "The active environment; when not written, the only one with weight 100, else the first."),
    unset("service.NAME.candidate", Text, "'green'",
        "The environment under judgement; when not written, the only one that is neither active nor fallback."),
    unset("service.NAME.fallback", Text, "'red'",
        "The environment that serves when the active one has no usable upstream."),
    short("service.NAME.sticky", Texts, "['header:x-user-id', 'json:/user']",
        "Short for `sticky.sources`."),
    preset("service.NAME.sticky.sources", Texts,
        "['header:x-session-id', 'header:x-user-id', 'json:/user', 'json:/safety_identifier', 'json:/prompt_cache_key']",
        "['cookie:sid', 'query:user', 'bearer', 'client-address']",
        "Where the key of a user may stand, 1 to 16 of `header:NAME`, `cookie:NAME`, `query:NAME`, `json:/pointer`, `bearer`, `client-address`; the first that a request has wins."),
    preset("service.NAME.sticky.body_max", Size, "'1MiB'", "'256KiB'",
        "Most bytes of a body read to find a `json:` key, up to 64MiB; beyond it the next source."),
    short("service.NAME.sticky.cookie", Text, "'cyan'",
        "Short for `sticky.cookie.name`."),
    unset("service.NAME.sticky.cookie.name", Text, "'cyan'",
        "Cookie given to users that bring no key, and looked up before every source; when not written, none is given."),
    preset("service.NAME.sticky.cookie.max_age", Duration, "'30d'", "'7d'",
        "How long the browser keeps it."),
    preset("service.NAME.headers.deployment", Text, "'x-deployment'", "'x-served-by'",
        "Names the environment, on requests and answers."),
    preset("service.NAME.headers.request_id", Text, "'x-request-id'", "'x-correlation-id'",
        "Identifies the request; kept when the client sent one."),
    preset("service.NAME.headers.exchange", Text, "'x-cyan-exchange'", "'x-exchange'",
        "Identifies the exchange in answers; quality scores are sent back with it."),
    preset("service.NAME.force.header", Text, "'x-cyan-environment'", "'x-environment'",
        "The header that names the environment."),
    unset("service.NAME.force.cookie", Text, "'environment'",
        "A cookie that names it too."),
    preset("service.NAME.force.trusted", Texts, "[]", "['127.0.0.1', '10.1.0.0/16']",
        "Addresses or CIDR ranges that may name one without a signature."),
    unset("service.NAME.force.secret", Secret, "{ env = 'CYAN_FORCE_SECRET' }",
        "Key of signed values, at least 16 characters; with it anybody who has a signed value may name one."),

    preset("service.NAME.rollout.steps", Texts, "['1%', '5%', '25%', '50%', '100%']", "['10% 2m', '50% 10m 500', '100%']",
        "The candidate's shares of what it and the active environment get together, rising to 100 %, the switch; after a share its time and its requests, where they are not `bake` and `requests_min`."),
    preset("service.NAME.rollout.bake", Duration, "'5m'", "'10m'",
        "How long a step lasts at least."),
    preset("service.NAME.rollout.requests_min", Whole, "200", "500",
        "Requests of the candidate that a step needs; a quarter of it at 1 % and below."),
    preset("service.NAME.rollout.judge", Text, "'evidence'", "'window'",
        "`evidence` weighs everything since the start and may look at any time; `window` compares the last minute with the limits."),
    preset("service.NAME.rollout.check_interval", Duration, "'30s'", "'10s'",
        "How often the window judge looks."),
    preset("service.NAME.rollout.latency_signal", Text, "'auto'", "'ttft'",
        "What latency means: `ttft`, time to first content; `total`, to the last byte; `auto`, the first for streams and the second for the rest."),
    preset("service.NAME.rollout.wait_max", Duration, "'2h'", "'30m'",
        "How long a step may wait for its requests, and the switch for enough data."),
    preset("service.NAME.rollout.too_little_data", Text, "'hold'", "'advance'",
        "What comes then: `hold`, `advance` or `roll-back`."),
    preset("service.NAME.rollout.ready_within", Duration, "'10m'", "'30m'",
        "How long the candidate may take to have a usable upstream."),
    preset("service.NAME.rollout.armed_for", Duration, "'30m'", "'2h'",
        "How long after the switch the limits go on rolling back and the environment before stays ready."),
    preset("service.NAME.rollout.cool_down", Duration, "'30m'", "'1h'",
        "How long a version that was rolled back waits for its next attempt; may be 0s."),
    preset("service.NAME.rollout.attempts_max", Whole, "2", "3",
        "Rollbacks of one version after which it is not started again, 1 to 1000."),
    preset("service.NAME.rollout.limits.error_rate", Number, "0.05", "0.02",
        "Share of requests that may fail, 0 to 1."),
    preset("service.NAME.rollout.limits.latency_p99", Duration, "'5s'", "'3s'",
        "p99 of latency, as `latency_signal` says."),
    preset("service.NAME.rollout.limits.quality", Number, "0.7", "0.8",
        "Mean quality score, 0 to 1."),
    preset("service.NAME.rollout.comparison.window", Duration, "'5m'", "'10m'",
        "How far back it looks."),
    preset("service.NAME.rollout.comparison.latency_p99_margin", Duration, "'200ms'", "'500ms'",
        "p99 of latency above the active environment's; may be 0s."),
    preset("service.NAME.rollout.comparison.error_rate", Number, "0.01", "0.02",
        "The candidate's own share of failures, 0 to 1."),
    preset("service.NAME.rollout.comparison.quality_loss", Number, "0.02", "0.05",
        "Mean score below the active environment's, 0 to 1."),
    unset("service.NAME.rollout.plans.NAME", Texts, "['25% 1m', '100%']",
        "Steps of the plan of this name."),
    preset("service.NAME.rollout.quality.threshold", Number, "0.85", "0.9",
        "The least score that passes, 0 to 1."),
    unset("service.NAME.rollout.quality.exec", Texts, "['python3', 'evaluate.py', '--cases', '40']",
        "A program that asks the candidate and judges its answers, with its arguments, without a shell; `force` must let its requests name an environment."),
    preset("service.NAME.rollout.quality.timeout", Duration, "'10m'", "'30m'",
        "How long it may take; then it is killed with everything it started."),
    preset("service.NAME.rollout.quality.format", Text, "'auto'", "'pytest'",
        "What its result is: `json` (`{\"score\": 0.87}`), `pytest` (`--json-report`), `junit` (XML), or `auto` for any of them."),
    unset("service.NAME.rollout.quality.result_file", Path, "'./eval_result.json'",
        "The file that it writes its result to; when not written, its standard output."),
    preset("service.NAME.rollout.quality.cases_min", Whole, "1", "20",
        "Cases without which the result says too little, 1 to 1000000; a result that does not say how many has one."),
    unset("service.NAME.rollout.quality.scores_min", Whole, "40",
        "Scores that must have come in at `/v1/scores` within the last hour, 1 to 1000000; their mean must reach the threshold too. When not written, none are asked for."),
    preset("service.NAME.rollout.quality.score", Text, "'quality'", "'helpful'",
        "The name of these scores."),
    unset("service.NAME.rollout.smoke.NAME.method", Text, "'PUT'",
        "The method; when not written, `POST` with a body and `GET` without."),
    unset("service.NAME.rollout.smoke.NAME.path", Text, "'/v1/chat/completions'",
        "Path and query; the environment's `path_prefix` is put before it."),
    unset("service.NAME.rollout.smoke.NAME.body", Text, "'{}'",
        "The body; JSON unless a header says otherwise, and with the environment's own name of the model."),
    preset("service.NAME.rollout.smoke.NAME.timeout", Duration, "'2s'", "'5s'",
        "Time of the whole exchange, from before the connection."),
    unset("service.NAME.rollout.smoke.NAME.headers.NAME", Secret, "{ env = 'SMOKE_KEY' }",
        "A header of this name."),
    unset("service.NAME.rollout.smoke.NAME.expect.status", Whole, "200",
        "The status, 200 to 599; when not written, any of 2xx."),
    preset("service.NAME.rollout.smoke.NAME.expect.headers", Texts, "[]", "'content-type: ^application/json'",
        "Headers, each as `NAME: PATTERN`; the pattern is a regular expression found in the value."),
    preset("service.NAME.rollout.smoke.NAME.expect.json", Texts, "[]", "['/object = list', '/data/0/id = m']",
        "Values in a JSON body, each as `POINTER = VALUE`; what is no JSON is a text."),
    unset("service.NAME.rollout.smoke.NAME.expect.text", Text, "'(?i)hello'",
        "A regular expression found in the body as it came."),
    unset("service.NAME.rollout.smoke.NAME.expect.ttft_max", Duration, "'800ms'",
        "Longest time to the first content, from before the connection; of an answer that is no stream, to its first byte."),
    unset("service.NAME.rollout.smoke.NAME.expect.total_max", Duration, "'1500ms'",
        "Longest time to the last byte."),
    unset("service.NAME.rollout.smoke.NAME.expect.tokens_min", Whole, "5",
        "Fewest tokens generated, 1 to 1000000."),
    preset("service.NAME.rollout.smoke.NAME.expect.finish_reason", Texts, "[]", "['stop', 'length']",
        "Why the model may have stopped: `stop`, `length`, `tool_calls`, `filtered`, `paused`, `repetition`, `aborted`, `other`; none for any reason."),
    unset("service.NAME.rollout.probes.apis", Texts, "['chat', 'messages']",
        "The APIs: `chat`, `completions`, `responses`, `messages`, `ollama-chat`, `ollama-generate`."),
    preset("service.NAME.rollout.probes.base", Text, "'/v1'", "'/openai/v1'",
        "What stands before the paths of all but Ollama's; `/` for nothing."),
    unset("service.NAME.rollout.probes.model", Text, "'llama-3-70b'",
        "The model, as clients call it; when not written, none is named."),
    preset("service.NAME.rollout.probes.prompt", Text, "'Say hello.'", "'Count to five.'",
        "What is asked."),
    preset("service.NAME.rollout.probes.tokens", Whole, "8", "16",
        "Most tokens of an answer, 1 to 1000."),
    preset("service.NAME.rollout.probes.timeout", Duration, "'30s'", "'1m'",
        "Time of the whole exchange."),
    unset("service.NAME.rollout.probes.ttft_max", Duration, "'5s'",
        "Longest time to the first content, from before the connection."),
    unset("service.NAME.rollout.probes.headers.NAME", Secret, "{ env = 'PROBE_KEY' }",
        "A header of this name."),
    unset("service.NAME.rollout.smoke_hooks.NAME.exec", Texts, "['./evaluate', '--fast']",
        "A program and its arguments, run once per upstream; no shell reads them. It passes when it exits with 0."),
    unset("service.NAME.rollout.smoke_hooks.NAME.url", Secret, "'http://127.0.0.1:9000/smoke'",
        "An address that gets the upstream by `POST`. It passes when it answers 2xx. With both, both must pass."),
    preset("service.NAME.rollout.smoke_hooks.NAME.timeout", Duration, "'30s'", "'1m'",
        "Time of one run; then the program and all it has started is killed."),

    unset("service.NAME.environment.NAME.upstreams", Texts, "['http://10.0.0.1:8000', 'https://api.example.com', 'unix:/run/llm.sock']",
        "Its addresses, up to 256: `http://HOST:PORT`, `https://HOST` or `unix:/path`; `[]` until the API adds some."),
    unset("service.NAME.environment.NAME.weight", Number, "95",
        "Its share of traffic in percent, 0 to 100 with at most two decimals, where the service has no state yet; all sum to 100, one that is not written takes the rest."),
    unset("service.NAME.environment.NAME.version", Text, "'llama-3.1-8b, prompt 42'",
        "A free label, up to 200 characters: model, prompt or build."),
    preset("service.NAME.environment.NAME.protocol", Text, "'http1'", "'http2'",
        "`http1` or `http2`; gRPC needs `http2`."),
    preset("service.NAME.environment.NAME.host", Text, "'preserve'", "'upstream'",
        "What upstreams see in `Host`: `preserve` what the client sent, `upstream` for their own name, or a fixed name."),
    unset("service.NAME.environment.NAME.path_prefix", Text, "'/prod'",
        "Put before the path of every request."),
    unset("service.NAME.environment.NAME.credentials", Secret, "{ file = '/run/secrets/api-key' }",
        "Sent as `Authorization: Bearer …` instead of what the client sent; another header is set by `set_headers`."),
    unset("service.NAME.environment.NAME.model", Text, "'llama-3-70b-v2'",
        "What its servers call the model: replaces `model` at the top of JSON requests, whatever the client asked for."),
    preset("service.NAME.environment.NAME.remove_headers", Texts, "[]", "['x-internal-user']",
        "Headers removed on the way to the upstreams."),
    unset("service.NAME.environment.NAME.in_flight_max", Whole, "64",
        "Most exchanges in flight, 1 to 1000000; beyond it 503 with `Retry-After`; when not written, no limit."),
    preset("service.NAME.environment.NAME.replay", Text, "'reused-connection'", "'never'",
        "When a request may be sent twice: `reused-connection` when one ended before any answer, `idempotent` for such methods only, or `never`."),
    preset("service.NAME.environment.NAME.inspect", Text, "'on'", "'off'",
        "`on` reads what LLM answers say while they pass, and asks upstreams not to compress answers to `POST`; `off` judges by status and wholeness only."),
    preset("service.NAME.environment.NAME.connect_retries", Whole, "2", "1",
        "Further upstreams tried when one cannot be connected to, 0 to 10."),
    preset("service.NAME.environment.NAME.slow_start", Duration, "'10s'", "'1m'",
        "How long an upstream that returns gets less than its share; may be 0s."),
    unset("service.NAME.environment.NAME.set_headers.NAME", Secret, "{ env = 'UPSTREAM_KEY' }",
        "A header of this name, instead of what the client sent."),
    unset("service.NAME.environment.NAME.models.NAME", Text, "'green-v2'",
        "Its servers' name for the model that clients call so; names that are not listed take `model`, or pass as they are."),
    preset("service.NAME.environment.NAME.timeouts.connect", Duration, "'1s'", "'3s'",
        "From the first SYN to an open connection, TLS included."),
    preset("service.NAME.environment.NAME.timeouts.response_head", Duration, "'10m'", "'2m'",
        "From the request sent to the head of the answer."),
    preset("service.NAME.environment.NAME.timeouts.idle", Duration, "'5m'", "'1m'",
        "Between two chunks of an answer."),
    preset("service.NAME.environment.NAME.timeouts.first_content", DurationOrOff, "'10m'", "'1m'",
        "From request head to the first content of a streamed answer of an LLM's API; heads, pings and comments are not content."),
    preset("service.NAME.environment.NAME.timeouts.stalled", DurationOrOff, "'30s'", "'10s'",
        "Between two contents of such a stream; beyond it the request counts as stalled, at once, and goes on."),
    preset("service.NAME.environment.NAME.timeouts.total", DurationOrOff, "'off'", "'1h'",
        "From request head to last byte."),
    preset("service.NAME.environment.NAME.timeouts.write_stall", Duration, "'1m'", "'30s'",
        "A client that takes no byte of a waiting answer for this long is let go."),
    preset("service.NAME.environment.NAME.timeouts.tunnel_idle", Duration, "'1h'", "'10m'",
        "A tunnel (WebSocket) without a byte in either direction."),
    unset("service.NAME.environment.NAME.health.path", Text, "'/health'",
        "Path asked for by probes; when not written, there are none."),
    preset("service.NAME.environment.NAME.health.interval", Duration, "'5s'", "'10s'",
        "Time between two probes of one upstream."),
    preset("service.NAME.environment.NAME.health.timeout", Duration, "'2s'", "'1s'",
        "Time an answer may take."),
    preset("service.NAME.environment.NAME.health.healthy_after", Whole, "1", "2",
        "Passed probes in a row that make an upstream up, 1 to 100."),
    preset("service.NAME.environment.NAME.health.unhealthy_after", Whole, "3", "5",
        "Failed probes in a row that make it down, 1 to 100."),
    preset("service.NAME.environment.NAME.health.no_progress", DurationOrOff, "'1m'", "'30s'",
        "How long no open stream of an upstream may bring content before it is suspect, whatever probes say; three times as long while none of them has begun."),
    preset("service.NAME.environment.NAME.ejection.failures", Whole, "3", "5",
        "Failures in a row to connect, or connections lost before an answer, that take an upstream out, 0 to 1000; 0 is never."),
    preset("service.NAME.environment.NAME.ejection.backoff", Duration, "'1s'", "'2s'",
        "First time out; it doubles with each ejection in a row."),
    preset("service.NAME.environment.NAME.ejection.backoff_max", Duration, "'30s'", "'1m'",
        "Longest time out; at least `backoff`."),
    preset("service.NAME.environment.NAME.pool.idle", Duration, "'4s'", "'30s'",
        "How long a connection may rest; below what the upstream allows (uvicorn and llama-server close after 5 s)."),
    preset("service.NAME.environment.NAME.pool.idle_max", Whole, "256", "32",
        "Most idle connections per core and upstream, 0 to 65536."),
    unset("service.NAME.environment.NAME.tls.ca_file", Path, "'/etc/cyan/ca.crt'",
        "Authorities to trust instead of the public ones, in PEM."),
    unset("service.NAME.environment.NAME.tls.server_name", Text, "'llm.internal'",
        "Name to ask for and to verify, instead of the upstream's host."),
];

/// The key with this path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The path with names that an operator could have chosen.
#[cfg(test)]
pub fn with_names(path: &str) -> String {
    let path =
        path.replace("headers.NAME", "headers.x-api-key").replace("smoke.NAME", "smoke.ready");
    let path =
        path.replace("smoke_hooks.NAME", "smoke_hooks.own").replace("hooks.NAME", "hooks.page");
    path.replacen("NAME", "chat", 1).replacen("NAME", "blue", 1)
}

/// What may follow `table` in a path: keys and tables in it, each once, in order.
pub fn children(table: &str) -> Vec<&'static str> {
    let mut children = Vec::new();
    for key in KEYS {
        let below = match table {
            "" => Some(key.path),
            table => key.path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')),
        };
        if let Some(child) = below.and_then(|rest| rest.split('.').next())
            && !children.contains(&child)
        {
            children.push(child);
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::specimen::Specimen;
    use super::*;

    #[test]
    fn every_key_is_listed_once_and_its_table_is_described() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..index].iter().all(|other| other.path != key.path), "{}", key.path);
            let table = key.path.rsplit_once('.').map_or("", |(table, _)| table);
            let described = TABLES.iter().any(|(path, _)| *path == table);
            assert!(described || table.ends_with(".cookie"), "{table}");
            assert!(key.doc.ends_with('.'), "{}", key.path);
        }
    }

    #[test]
    fn children_are_keys_and_tables() {
        assert_eq!(children("access_log"), ["path", "sample", "format"]);
        assert_eq!(children("service.NAME.environment.NAME.set_headers"), ["NAME"]);
        assert!(children("").starts_with(&["state_dir", "workers", "listen"]));
        assert_eq!(children("service.NAME.sticky"), ["sources", "body_max", "cookie"]);
        assert!(children("workers").is_empty());
    }

    #[test]
    fn every_key_is_read_and_no_other() {
        let asked = Specimen::full().asked();
        let listed: BTreeSet<_> = KEYS.iter().map(|key| key.path).collect();
        assert!(listed.is_superset(&asked));
        let missing: Vec<_> = listed.difference(&asked).collect();
        let only_in_short_form = ["service.NAME.sticky", "service.NAME.sticky.cookie"];
        assert!(missing.iter().all(|key| only_in_short_form.contains(*key)), "{missing:?}");
    }

    #[test]
    fn every_key_refuses_what_it_does_not_take() {
        for key in KEYS {
            let errors = Specimen::around(key).with(key.path, "1979-05-27").errors();
            let field = Specimen::field(key.path);
            let expected = format!(": {field}: must be a {}", key.kind.name());
            assert!(errors.iter().any(|error| error.contains(&expected)), "{field}: {errors:?}");
        }
    }

    #[test]
    fn a_default_written_out_changes_nothing_and_its_example_does() {
        for key in KEYS {
            let Some(default) = key.default else { continue };
            let unwritten = Specimen::full().without(key.path).read();
            let default = Specimen::full().with(key.path, default).read();
            assert!(unwritten == default, "{} is not the default", key.path);
            assert!(default != Specimen::full().read(), "the example of {} is", key.path);
        }
    }

    #[test]
    fn short_forms_are_read() {
        for key in KEYS.iter().filter(|key| key.is_short_form) {
            let specimen = Specimen::around(key).with(key.path, key.example);
            assert_ne!(specimen.read(), Specimen::around(key).read(), "{}", key.path);
        }
    }
}
