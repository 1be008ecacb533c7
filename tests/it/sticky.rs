//! Who gets what, seen from outside.

use cyan::control_plane::command::Command;
use cyan::model::environment::Secret;
use cyan::model::force_token;
use cyan::model::header_id::HeaderId;
use cyan::model::service::ForceRule;

use crate::support::proxy::{Builder, Proxy, environment, name};
use crate::support::upstream::Upstream;

async fn pair() -> (Upstream, Upstream) {
    (Upstream::replying(200, "blue").await, Upstream::replying(200, "green").await)
}

async fn environment_of(proxy: &Proxy, user: usize) -> String {
    let mut client = proxy.client().await;
    client.get("/", &format!("x-user-id: user-{user}\r\n")).await.text()
}

#[tokio::test]
async fn users_on_green_stay_there_while_it_grows_and_all_return() {
    let (blue, green) = pair().await;
    let proxy = Proxy::between(&blue, &green);
    let mut before: Vec<usize> = Vec::new();
    for percent in [10.0, 25.0, 50.0, 100.0] {
        proxy.set_weights(&[("blue", 100.0 - percent), ("green", percent)]).await;
        let mut now = Vec::new();
        for user in 0..120 {
            if environment_of(&proxy, user).await == "green" {
                now.push(user);
            }
        }
        assert!(before.iter().all(|user| now.contains(user)), "{before:?} at {percent} %: {now:?}");
        before = now;
    }
    assert_eq!(before.len(), 120);
    proxy.ask(Command::RollBack { service: name("chat"), instant: false }).await.unwrap();
    for user in 0..20 {
        assert_eq!(environment_of(&proxy, user).await, "blue");
    }
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_key_in_the_body_counts_like_one_in_a_header() {
    let (blue, green) = pair().await;
    let proxy = Proxy::between(&blue, &green);
    proxy.set_weights(&[("blue", 50.0), ("green", 50.0)]).await;
    let mut client = proxy.client().await;
    for user in 0..40 {
        let by_header = environment_of(&proxy, user).await;
        let body =
            format!(r#"{{"model":"m","messages":[{{"content":"hi"}}],"user":"user-{user}"}}"#);
        assert_eq!(client.post("/v1/chat/completions", "", &body).await.text(), by_header);
    }
    let bodies = [blue.bodies(), green.bodies()].concat();
    let whole = bodies.iter().filter(|body| body.ends_with(b"\"}")).count();
    assert_eq!(whole, 40, "what was read for the key still arrives");
    proxy.adds_up().await;
}

#[tokio::test]
async fn only_allowed_clients_name_their_environment() {
    let (blue, green) = pair().await;
    let rule = |trusted: &str| ForceRule {
        header: HeaderId::X_CYAN_ENVIRONMENT,
        cookie: Some("cyan-environment".into()),
        trusted: vec![trusted.parse().unwrap()],
        secret: Some(Secret::new("s3cret")),
    };
    let between = |trusted: &str| {
        let environments = vec![environment("blue", &[&blue]), environment("green", &[&green])];
        let rule = rule(trusted);
        Builder::new(environments).service(|service| service.force = Some(rule)).start()
    };
    let stranger = between("10.0.0.0/8");
    let ask = async |proxy: &Proxy, headers: &str| proxy.client().await.get("/", headers).await;
    let plain = "x-cyan-environment: green\r\n";
    assert_eq!(ask(&stranger, plain).await.text(), "blue", "a stranger is not believed");
    let signed = force_token::sign("s3cret", "green", u64::MAX / 2);
    let answer = ask(&stranger, &format!("x-cyan-environment: {signed}\r\n")).await;
    assert_eq!((answer.text().as_str(), answer.header("x-deployment")), ("green", Some("green")));
    assert_eq!(
        ask(&stranger, &format!("cookie: cyan-environment={signed}\r\n")).await.text(),
        "green"
    );
    let expired = force_token::sign("s3cret", "green", 1);
    assert_eq!(ask(&stranger, &format!("x-cyan-environment: {expired}\r\n")).await.text(), "blue");
    let friend = between("127.0.0.0/8");
    assert_eq!(ask(&friend, plain).await.text(), "green");
    let unknown = ask(&friend, "x-cyan-environment: pink\r\n").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("configured: blue, green"), "{}", unknown.text());
    assert!(green.heads().iter().all(|head| !head.contains("x-cyan-environment")));
}
