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

/// After a restart numbers began at 1 again, and who came back with a higher one heard nothing for long.
#[tokio::test]
async fn who_comes_back_to_another_process_is_told_and_hears_the_rest() {
    let first = TestAdmin::start().await;
    let mut follower = follow(&first, Some("0")).await;
    follower.until("id: ").await;
    let id = follower.text.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    assert!(!follower.text.contains("events_lost"), "{}", follower.text);
    drop((follower, first));
    let second = TestAdmin::start().await;
    second.put("/v1/services/chat/weights", r#"{"weights":{"blue":95,"green":5}}"#).await;
    let mut back = follow(&second, Some(&id)).await;
    back.until("event: weights_set").await;
    assert!(back.text.contains("event: events_lost"), "{}", back.text);
    assert!(back.text.contains("cyan was restarted or taken over"), "{}", back.text);
    let newer = back.text.split("id: ").nth(1).unwrap().lines().next().unwrap();
    assert!(newer.parse::<u64>().unwrap() > id.parse().unwrap(), "numbers rise over processes");
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
