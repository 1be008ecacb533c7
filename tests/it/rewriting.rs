//! What an environment changes in requests, written in a file as an operator writes it.

use crate::support::in_time;
use crate::support::serving::{Serving, VARIABLE};
use crate::support::upstream::Upstream;

#[tokio::test]
async fn everything_that_can_be_changed_is_changed_and_a_new_credential_is_read_on_reload() {
    let upstream = Upstream::replying(200, "ok").await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = folder.path().join("key");
    std::fs::write(&key, "first-key\n").expect("a file");
    let url = upstream.url();
    let (key_file, (variable, value)) = (key.display(), VARIABLE);
    let cyan = Serving::start(&format!(
        "[environment.blue]\nupstreams = [\"{url}\"]\nhost = \"llm.internal\"\n\
         path_prefix = \"/prod\"\ncredentials = {{ file = \"{key_file}\" }}\n\
         remove_headers = [\"cookie\"]\nset_headers.x-own = \"${{{variable}}}\"\n\
         set_headers.x-key = {{ env = \"{variable}\" }}\nmodel = \"small\"\n\
         models = {{ \"gpt-4.1\" = \"big\" }}\n"
    ))
    .await;
    let mut client = cyan.client().await;
    let sent = "authorization: Bearer users-own\r\ncookie: a=b\r\nx-own: theirs\r\n";
    for (asked, own) in [("gpt-4.1", "big"), ("gpt-5", "small")] {
        let body = format!(r#"{{"model":"{asked}"}}"#);
        let answer = client.post("/v1/chat/completions?a=b", sent, &body).await;
        assert_eq!(answer.text(), "ok");
        assert_eq!(upstream.bodies().last(), Some(&format!(r#"{{"model":"{own}"}}"#).into_bytes()));
    }
    let head = &upstream.heads()[0];
    assert!(head.starts_with("POST /prod/v1/chat/completions?a=b HTTP/1.1\r\n"), "{head}");
    for line in ["host: llm.internal", "authorization: Bearer first-key"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    for name in ["x-own", "x-key"] {
        assert!(head.contains(&format!("\r\n{name}: {value}\r\n")), "{name} in {head}");
    }
    assert!(!head.contains("users-own") && !head.contains("cookie"), "{head}");

    std::fs::write(&key, "second-key\n").expect("a file");
    cyan.signal(libc::SIGHUP);
    let replaced = async {
        loop {
            client.get("/", "").await;
            let head = upstream.heads().pop().expect("a request");
            if head.contains("\r\nauthorization: Bearer second-key\r\n") {
                return;
            }
        }
    };
    in_time(replaced).await;
    assert!(!cyan.log().contains("-key"), "credentials stay out of the log: {}", cyan.log());
}
