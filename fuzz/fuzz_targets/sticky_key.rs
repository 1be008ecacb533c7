//! Looks for the sticky key in any head and body: a stranger's bytes never panic it, the same request is the
//! same user, and a cookie or query value is what a plain reading finds.

#![no_main]

use std::time::Duration;

use cyan_fuzz::data_plane::exchange::key::{COOKIE_SOURCE, KeyInHead, cookie_value, in_head};
use cyan_fuzz::data_plane::lean::names::Names;
use cyan_fuzz::head::PlainHead;
use cyan_fuzz::model::sticky::{KeySource, StickyCookie, StickyKey, StickyRule};
use libfuzzer_sys::fuzz_target;

const SOURCES: [&str; 8] = [
    "header:x-session-id",
    "json:/user",
    "json:/metadata/0/id",
    "cookie:session",
    "query:user",
    "query:a b",
    "bearer",
    "client-address",
];

fuzz_target!(|input: &[u8]| {
    let rule = StickyRule {
        sources: SOURCES.iter().map(|text| text.parse().expect("a source")).collect(),
        body_bytes_max: 4096,
        set_cookie: Some(StickyCookie { name: "cyan".into(), max_age: Duration::from_secs(60) }),
    };
    for text in SOURCES {
        let source: KeySource = text.parse().expect("a source");
        assert_eq!(source.to_string(), text);
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(source) = text.parse::<KeySource>()
    {
        assert_eq!(source.to_string().parse(), Ok(source), "a source is read as it is written");
    }
    let Some(head) = PlainHead::read(input, &Names::default()) else { return };
    let body = &input[head.length()..];
    let found = find(&head, &rule, body);
    assert_eq!(found, find(&head, &rule, body), "the same request is the same user");
    if let Some(value) = cookie_value(&head.view(), "cyan") {
        assert_eq!(found, Some(StickyKey::of(value, COOKIE_SOURCE)), "the cookie comes first");
    } else {
        let last = u8::try_from(SOURCES.len()).expect("a few") - 1;
        assert!(found.is_some_and(|key| key.source <= Some(last)), "an address is always known");
    }
});

fn find(head: &PlainHead, rule: &StickyRule, body: &[u8]) -> Option<StickyKey> {
    match in_head(&head.view(), rule, Some([192, 0, 2, 1].into())) {
        KeyInHead::Found(key) => Some(key),
        KeyInHead::Missing => None,
        KeyInHead::InBody { mut scan, sources, otherwise } => {
            scan.push(body);
            let of_body =
                scan.found().map(|(pointer, value)| StickyKey::of(value, sources[pointer]));
            of_body.or(otherwise)
        }
    }
}
