//! Verbs that read and write files: `cyan check`, with what a reload would change, and `cyan init`.

use std::path::Path;

use cyan::demo::mock_llm::{MockLlm, MockOptions};
use serde_json::Value;

use crate::support::admin::TestAdmin;
use crate::support::program::cyan;

const CONFIG: &str = "\
[service.chat.environment.blue]
upstreams = 'http://127.0.0.1:1'
[service.chat.environment.green]
upstreams = 'http://127.0.0.1:2'
version = 'v1'
";

/// A file with the text of `CONFIG` and what `TestAdmin::configured` writes above it.
fn file(directory: &Path, change: impl FnOnce(String) -> String) -> String {
    let file = directory.join("cyan.toml");
    let top = "listen.http = '127.0.0.1:0'\nadmin.address = '127.0.0.1:0'\nstate_dir = '/s'\n";
    std::fs::write(&file, top.to_owned() + &change(CONFIG.to_owned())).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn check_says_what_a_reload_would_change() {
    let admin = TestAdmin::configured(CONFIG).await;
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), |text| {
        text.replace("'v1'", "'v2'\nin_flight_max = 4")
            + "[service.chat.environment.red]\nupstreams = []\n"
    });
    let run = cyan(&["check", &path, "--diff", "--admin", &admin.url()]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines[0], format!("{path}: valid: 1 listener, 1 service with 3 environments"));
    assert!(lines[1].starts_with("state_dir: ") && lines[1].ends_with(" -> /s; needs a restart"));
    assert_eq!(
        lines[2..],
        [
            "service.chat.candidate: green -> not set; only for a service without state, others keep theirs",
            "service.chat.environment.green.version: v1 -> v2",
            "service.chat.environment.green.in_flight_max: not set -> 4",
            "service.chat.environment.red: added",
            "5 fields differ",
            "note: the running Cyan has no config file and cannot reload",
        ],
        "{run:?}"
    );
    let json = cyan(&["check", &path, "--diff", "--json", "--admin", &admin.url()]).await;
    let answer: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (answer["valid"].as_bool(), answer["changes"].as_array().unwrap().len()),
        (Some(true), 5)
    );

    let set = admin.put("/v1/services/chat/environments/green", r#"{"version": "by hand"}"#).await;
    assert_eq!(set.status.as_u16(), 200);
    let run = cyan(&["check", &path, "--diff", "--admin", &admin.url()]).await;
    let kept = "green.version: v1 -> v2; set by the API, stays until `cyan config reset`\n";
    assert!(run.stdout.contains(kept), "{run:?}");
}

#[tokio::test]
async fn without_a_running_cyan_there_is_nothing_to_compare_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), |text| text);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = cyan(&["check", &path, "--diff", "--admin", &format!("http://{closed}")]).await;
    assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{run:?}");
    let begins = "error: the file is valid, and there is nothing to compare it with: cannot reach";
    assert!(run.stderr.starts_with(begins), "{run:?}");
    // Nobody says where it is: the file does.
    std::fs::write(
        &path,
        std::fs::read_to_string(&path)
            .unwrap()
            .replace("admin.address = '127.0.0.1:0'", &format!("admin.address = '{closed}'")),
    )
    .unwrap();
    let run = cyan(&["check", &path, "--diff"]).await;
    assert!(run.stderr.contains(&format!("http://{closed} (from [admin] of {path})")), "{run:?}");
}

#[tokio::test]
async fn ugly_files_are_told_with_all_that_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cyan.toml");
    let ugly = "listen.http = 8080\n[service.chat]\nstiky = 'x'\n[service.chat.environment.blue]\n\
                weight = 'many'\ntimeouts.idel = '3 parsecs'\n[service.chat.rollout]\nbake = 5\n";
    for (content, lines) in [
        (
            ugly.as_bytes(),
            vec![
                "1: listen.http: must be a text or list of texts; ",
                "3: service.chat: unknown key `stiky`, did you mean `sticky`?",
                "5: service.chat.environment.blue.weight: must be a number; ",
                "6: service.chat.environment.blue.timeouts: unknown key `idel`, did you mean `idle`?",
                "8: service.chat.rollout.bake: must be a duration; ",
            ],
        ),
        (b"a = \"x\n[b\n", vec!["1: invalid basic string", "2: unclosed table"]),
        (b"[listen]\nhttp = ':1'\nhttp = ':2'\n", vec!["3: duplicate key; each stands once"]),
        (b"\xff\xfe", vec!["1: is not UTF-8; save it as UTF-8 text"]),
        (b"", vec!["1: listen: no address to listen on; ", "1: no service; "]),
    ] {
        std::fs::write(&path, content).unwrap();
        let run = cyan(&["check", path.to_str().unwrap()]).await;
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        for line in lines {
            assert!(run.stderr.contains(&format!("cyan.toml:{line}")), "{line}\n{}", run.stderr);
        }
        assert!(run.stderr.ends_with("; nothing was changed\n"), "{run:?}");
    }
    for (path, problem) in [
        (directory.path().join("none.toml"), "cannot be read: No such file"),
        (directory.path().to_owned(), "cannot be read: Is a directory"),
    ] {
        let run = cyan(&["check", path.to_str().unwrap()]).await;
        assert!(run.code == 3 && run.stderr.contains(problem), "{run:?}");
    }
}

#[tokio::test]
async fn init_writes_a_file_that_passes_check_and_overwrites_none() {
    let blue = mock("llama-3");
    let green = mock("llama-3-tuned");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cyan.toml");
    let output = path.to_str().unwrap();
    let blue_url = format!("{}/v1", blue.url());
    let line = ["init", "--blue", &blue_url, "--green", &green.url(), "-o", output];
    let run = cyan(&line).await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, &*format!("wrote {output}; next: cyan serve {output}\n"))
    );
    assert_eq!(
        run.stderr,
        format!(
            "blue   {}  an LLM server, by chat, completions, responses, messages; model llama-3\n\
             green  {}  an LLM server, by chat, completions, responses, messages; model llama-3-tuned\n",
            blue.url(),
            green.url()
        )
    );
    let text = std::fs::read_to_string(&path).unwrap();
    for line in [
        "[environment.blue]",
        "health.path = \"/health\"",
        "model = \"llama-3-tuned\"   # clients ask for \"llama-3\"",
        "apis = [\"chat\"]",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let check = cyan(&["check", output]).await;
    assert!(check.stdout.contains("valid: 1 listener, 1 service with 2 environments"), "{check:?}");

    let again = cyan(&line).await;
    assert_eq!((again.code, again.stdout.as_str()), (5, ""), "{again:?}");
    assert!(
        again.stderr.ends_with("hint: name another file with -o, or overwrite it with --force\n")
    );
    let json = cyan(&[&line[..], &["--force", "--json"]].concat()).await;
    let answer: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &answer["green"]["models"][0]), (0, &Value::from("llama-3-tuned")));
}

#[tokio::test]
async fn init_writes_a_file_for_upstreams_that_are_not_there_yet() {
    let run = cyan(&["init", "--blue", "127.0.0.1:1", "--green", ":2", "-o", "-", "--quiet"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(run.stdout.contains("# did not answer: "), "{run:?}");
    assert!(run.stdout.contains("upstreams = [\"http://127.0.0.1:2\"]"), "{run:?}");
    let wrong = cyan(&["init", "--blue", "ftp://a", "--green", ":2", "-o", "-"]).await;
    assert!(wrong.code == 2 && wrong.stderr.contains("`ftp://a` is not an upstream"), "{wrong:?}");
}

fn mock(model: &str) -> MockLlm {
    let options = MockOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        model: model.to_owned(),
        ..MockOptions::named("mock")
    };
    MockLlm::start(options).unwrap()
}
