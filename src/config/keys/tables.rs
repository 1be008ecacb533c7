//! What the tables of a config are about: a sentence for each.

/// What each table is about.
pub const TABLES: &[(&str, &str)] = &[
    ("", "The process."),
    ("listen", "Where clients connect. The settings hold for every address."),
    ("listen.timeouts", "Limits on time towards clients."),
    (
        "listen.certificates.NAME",
        "Further certificates; a client gets the one for the host it asks for.",
    ),
    ("admin", "Where operators connect: API, metrics, dashboard."),
    (
        "admin.tokens.NAME",
        "A token of its own for a person or program; the journal tells its name. Which tokens there are, a reload takes over: one that is gone opens nothing from then on, and streams it has open end.",
    ),
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
    (
        "service.NAME.requests_per_client",
        "How many requests each client may send; without this table any number.",
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
    ("service.NAME.rollout.rollback", "How fast users return when a rollout goes back."),
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
        "service.NAME.rollout.warm_up",
        "Requests that a candidate gets before users come, until it is as fast as it gets; without this table there are none. See docs/reference/warm-up.md.",
    ),
    ("service.NAME.rollout.warm_up.headers", "Their headers, beside what the environment sets."),
    (
        "service.NAME.rollout.warm_up.mirror",
        "Copies of live requests, whose answers are thrown away; nobody waits for them.",
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
    (
        "service.NAME.body_max_by_path",
        "Longest request bodies of some paths, such as those for audio and images.",
    ),
    (
        "service.NAME.environment.NAME.queue",
        "Requests that wait while `in_flight_max` are in flight.",
    ),
    ("service.NAME.environment.NAME.pool", "Idle connections that are kept."),
    ("service.NAME.environment.NAME.tls", "TLS towards upstreams that are written `https://`."),
];
