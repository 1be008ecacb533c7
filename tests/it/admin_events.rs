//! Events over HTTP: told as they happen, and gone on with after a break.

use crate::support::admin::{Stream, TestAdmin};

async fn follow(admin: &TestAdmin, last_event_id: Option<&str>) -> Stream {
    let headers: Vec<_> = last_event_id.map(|id| ("last-event-id", id)).into_iter().collect();
    let mut follower = admin.stream("/v1/events", &headers).await;
    follower.until(": events of cyan").await;
    follower
}

#[tokio::test]
async fn changes_are_told_as_they_happen_and_after_a_break() {
    let admin = TestAdmin::start().await;
    let mut follower = follow(&admin, None).await;
    admin.put("/v1/services/chat/weights", r#"{"weights":{"blue":95,"green":5}}"#).await;
    follower.until("event: weights_set").await;
    let id = follower.text.split("id: ").nth(1).unwrap().lines().next().unwrap();
    let id = id.to_owned();
    drop(follower);
    admin.post("/v1/services/chat/rollback", "").await;
    let mut back = follow(&admin, Some(&id)).await;
    back.until("event: rolled_back").await;
    assert!(!back.text.contains("event: weights_set"), "{}", back.text);
}

#[tokio::test]
async fn followers_leave_room_for_those_who_act() {
    let admin = TestAdmin::start().await;
    let mut followers = Vec::new();
    for _ in 0..cyan::admin::state::FOLLOWERS_MAX {
        followers.push(follow(&admin, None).await);
    }
    let one_more = admin.get("/v1/events").await;
    assert_eq!(one_more.status.as_u16(), 429);
    assert_eq!(admin.post("/v1/services/chat/switch", "").await.status.as_u16(), 200);
}
