//! The dashboard as a browser gets it: the page, its parts, and a token that becomes a cookie.

use http::Method;

use crate::support::admin::TestAdmin;

#[tokio::test]
async fn the_page_says_what_goes_on_and_may_run_only_its_own_scripts() {
    let admin = TestAdmin::start().await;
    let page = admin.get("/").await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(
        page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'")
    );
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    for said in [
        "data-state=\"idle\"",
        "<span id=\"word\">IDLE</span>",
        ">Everything goes to blue. No rollout is running.</h1>",
        "<li>blue 100 %",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("{{"), "every place is filled");
    for part in ["style.css", "icon.svg", "app.js", "charts.js"] {
        let part = admin.get(&format!("/dashboard/{part}")).await;
        assert_eq!(part.status.as_u16(), 200);
    }
    let none = admin.get("/dashboard/other.js").await;
    assert_eq!(none.json()["detail"], "the dashboard has no part `other.js`");
}

#[tokio::test]
async fn a_token_becomes_a_cookie_and_the_open_page_tells_nothing() {
    let admin = TestAdmin::with(Some("t0ken"), None).await;
    let page = String::from_utf8(admin.get("/").await.body.to_vec()).unwrap();
    assert!(!page.contains("blue"), "{page}");
    let wrong = admin.post("/dashboard/session", r#"{"token":"guess"}"#).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["detail"]),
        (401, &"the token is wrong".into())
    );
    let entered = admin.post("/dashboard/session", r#"{"token":"t0ken"}"#).await;
    let cookie = entered.header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; "), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    assert!(!pair.contains("t0ken"), "{pair}");
    for (cookie, status) in [(pair, 200), ("cyan_session=AAAA", 401), ("cyan_session=", 401)] {
        let answer = admin.call(Method::GET, "/v1/status", &[("cookie", cookie)], "").await;
        assert_eq!(answer.status.as_u16(), status, "{cookie}");
    }
    let foreign = [("cookie", pair), ("origin", "http://evil.example")];
    let forged = admin.call(Method::POST, "/v1/services/chat/rollback", &foreign, "").await;
    assert_eq!(forged.status.as_u16(), 403);
}

#[tokio::test]
async fn the_stream_begins_with_everything_and_then_tells_what_has_changed() {
    let admin = TestAdmin::start().await;
    let now = admin.get("/dashboard/now?service=chat").await.json();
    assert_eq!(
        (&now["service"]["name"], &now["service"]["state"]),
        (&"chat".into(), &"idle".into())
    );
    assert_eq!(now["figures"].as_array().map(Vec::len), Some(3));
    let mut stream = admin.stream("/dashboard/live?service=chat", &[]).await;
    let first = stream.next_data().await;
    assert_eq!(first["service"]["explanation"], now["service"]["explanation"]);
    assert!(first["figures"].is_array() && first.get("history").is_some(), "{first}");
    let body = r#"{"weights":{"blue":90,"green":10}}"#;
    assert_eq!(admin.put("/v1/services/chat/weights", body).await.status.as_u16(), 200);
    let mut changed = stream.next_data().await;
    while changed.get("service").is_none() {
        changed = stream.next_data().await;
    }
    assert_eq!(changed["service"]["state"], "split");
    assert!(changed.get("version").is_none(), "the same is not told twice: {changed}");
}
