//! Who may call the admin API.

use cyan::model::role::Role;
use http::Method;

use crate::support::admin::TestAdmin;
use crate::support::serving::Serving;
use crate::support::upstream::Upstream;

#[tokio::test]
async fn with_a_token_only_its_bearers_get_in() {
    let admin = TestAdmin::with(Some("t0ken"), None).await;
    for (path, authorization, status) in [
        ("/v1/services", "Bearer t0ken", 200),
        ("/v1/services", "Bearer wrong", 401),
        ("/v1/services", "", 401),
        ("/metrics", "", 401),
        ("/v1/events", "", 401),
        ("/livez", "", 200),
        ("/readyz", "", 200),
        ("/problems/unauthorized", "", 200),
    ] {
        let headers = [("authorization", authorization)];
        let headers = if authorization.is_empty() { &headers[..0] } else { &headers };
        let answer = admin.call(Method::GET, path, headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{path} {authorization}");
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn a_browser_cannot_be_made_to_call_for_a_stranger() {
    let admin = TestAdmin::start().await;
    let rebound = admin.call(Method::GET, "/v1/services", &[("host", "evil.example")], "").await;
    assert_eq!(rebound.status.as_u16(), 403);
    let origin = [("origin", "http://evil.example")];
    let forged = admin.call(Method::POST, "/v1/services/chat/switch", &origin, "").await;
    assert_eq!(forged.json()["type"], "/problems/foreign-origin");
    let page = admin.get(forged.json()["type"].as_str().unwrap()).await;
    assert!(String::from_utf8_lossy(&page.body).contains("another site"));
    assert_eq!(admin.get("/v1/services/chat").await.json()["active"], "blue");
}

#[tokio::test]
async fn a_token_with_the_role_read_sees_everything_and_changes_nothing() {
    let callers = [("grafana", "reads-only", Role::Read), ("ci", "operates", Role::Operate)];
    let admin = TestAdmin::for_callers(&callers).await;
    let (reads, operates) =
        ([("authorization", "Bearer reads-only")], [("authorization", "Bearer operates")]);
    let status = admin.call(Method::GET, "/v1/status", &reads, "").await;
    assert_eq!((status.status.as_u16(), &status.json()["role"]), (200, &"read".into()));
    let path = "/v1/services/chat/switch";
    let refused = admin.call(Method::POST, path, &reads, "").await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["type"]),
        (403, &"/problems/forbidden".into())
    );
    let detail = "the token `grafana` has the role `read`, and POST needs `operate`";
    assert_eq!(refused.json()["detail"], detail);
    assert!(refused.json()["hint"].as_str().unwrap().contains("role = \"operate\""));
    let asked = admin.call(Method::POST, path, &operates, "").await;
    assert_eq!(asked.status.as_u16(), 200, "{asked:?}");
    let status = admin.call(Method::GET, "/v1/status", &operates, "").await;
    assert_eq!(status.json()["role"], "operate");
}

#[tokio::test]
async fn the_journal_names_the_token_beside_what_a_caller_says_of_itself() {
    let admin = TestAdmin::for_callers(&[("ci", "operates", Role::Operate)]).await;
    let token = ("authorization", "Bearer operates");
    let switch = async |headers: &[(&str, &str)]| {
        let answer = admin.call(Method::POST, "/v1/services/chat/switch", headers, "").await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    };
    switch(&[token]).await;
    switch(&[token, ("x-cyan-actor", "ana")]).await;
    let journal = admin.call(Method::GET, "/v1/journal", &[token], "").await.json();
    let actors = journal["entries"].as_array().unwrap().iter().map(|entry| &entry["actor"]);
    let actors: Vec<_> = actors.filter(|actor| *actor != "cyan").take(2).collect();
    assert_eq!(actors, ["ana (token ci)", "token ci"]);
}

#[tokio::test]
async fn the_public_listener_leads_to_upstreams_and_never_to_the_admin_api() {
    let upstream = Upstream::replying(200, "from the upstream").await;
    let service = format!("[environment.blue]\nupstreams = 'http://{}'\n", upstream.address);
    let serving = Serving::start(&service).await;
    for path in [
        "/",
        "/v1/status",
        "/v1/services/default/switch",
        "/metrics",
        "/livez",
        "/dashboard/app.js",
    ] {
        for host in ["localhost".to_owned(), serving.admin.to_string()] {
            let mut client = serving.client().await;
            client.send(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
            assert_eq!(client.answer().await.text(), "from the upstream", "{path} {host}");
        }
    }
}
