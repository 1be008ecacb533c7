//! Who may call the admin API.

use http::Method;

use crate::support::admin::TestAdmin;

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
