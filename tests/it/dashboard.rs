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
    assert!(text.contains("Everything goes to blue"), "{text}");
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
