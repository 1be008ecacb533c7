//! What goes wrong on the command line: sentence, hint and exit code of each kind.

use crate::support::admin::TestAdmin;
use crate::support::program::{cyan, cyan_at};

#[tokio::test]
async fn an_admin_api_that_is_not_there_is_named_with_its_origin() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = cyan(&["status", "--admin", &format!("http://{closed}")]).await;
    assert_eq!(run.code, 4);
    let begins = format!("error: cannot reach the admin API at http://{closed} (from --admin): ");
    assert!(run.stderr.starts_with(&begins), "{}", run.stderr);
    assert!(run.stderr.ends_with(
        "\n\nhint: start Cyan with `cyan serve`, or name the address with --admin or CYAN_ADMIN\n"
    ));
}

#[tokio::test]
async fn refusals_of_the_server_keep_their_words() {
    let admin = TestAdmin::start().await;
    for (line, code, message) in [
        ("weights blue=75 green=35 --yes", 5, "error: weights sum to 110 %, expected 100 %"),
        ("rollback", 5, "error: nothing to roll back: `blue` is active"),
        ("rollback embed", 5, "error: unknown service `embed`; configured: chat"),
        ("switch chat red --yes", 5, "error: unknown environment `red`; configured: blue, green"),
        ("status embed", 2, "error: unknown service `embed`; configured: chat"),
        ("weights blue=x", 2, "error: `x` is no number"),
        ("nonsense", 2, "error: unrecognized subcommand 'nonsense'"),
    ] {
        let run = cyan_at(&admin, line).await;
        assert_eq!(run.code, code, "{line}: {run:?}");
        assert!(run.stderr.starts_with(message), "{line}: {run:?}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_and_taken_from_a_file() {
    let admin = TestAdmin::with(Some("t0ken"), None).await;
    let without = cyan_at(&admin, "status").await;
    assert_eq!((without.code, without.stdout.as_str()), (6, ""));
    assert!(without.stderr.contains("hint: "), "{without:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "t0ken\n").unwrap();
    let line = format!("status --token-file {}", file.path().display());
    assert_eq!(cyan_at(&admin, &line).await.code, 0);
}

#[tokio::test]
async fn a_pin_is_what_the_data_plane_accepts() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a signing secret\n").unwrap();
    let path = file.path().to_str().unwrap();
    let run = cyan(&["pin", "green", "--secret-file", path, "--valid", "10m"]).await;
    let verify = cyan::model::force_token::verify;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert_eq!(verify("a signing secret", run.stdout.trim(), now + 599), Some("green"));
    assert_eq!(verify("a signing secret", run.stdout.trim(), now + 700), None);
    let refused = cyan(&["pin", "green", "--secret-file", path, "--valid", "10"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
}

/// A config with TLS by this certificate, which is made to be valid in these years.
fn secured(directory: &std::path::Path, first: i32, last: i32) -> std::path::PathBuf {
    let mut params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(first, 1, 1);
    params.not_after = rcgen::date_time_ymd(last, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(directory.join("a.crt"), certificate.pem()).unwrap();
    std::fs::write(directory.join("a.key"), key.serialize_pem()).unwrap();
    let text = format!(
        "listen.https = '127.0.0.1:0'\nlisten.certificate_file = '{0}/a.crt'\n\
         listen.key_file = '{0}/a.key'\nenvironment.blue.upstreams = 'http://127.0.0.1:1'\n",
        directory.display()
    );
    std::fs::write(directory.join("cyan.toml"), text).unwrap();
    directory.join("cyan.toml")
}

#[tokio::test]
async fn a_certificate_that_clients_will_not_take_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    for (first, last, said) in [
        (2020, 2021, Some("` has expired on 2021-01-01; ")),
        (2200, 2201, Some("` is not valid before 2200-01-01; ")),
        (2020, 2200, None),
    ] {
        let file = secured(directory.path(), first, last);
        let run = cyan(&["check", file.to_str().unwrap()]).await;
        assert_eq!(run.code, 0, "it can be used: {run:?}");
        match said {
            Some(words) => assert!(run.stderr.contains(words), "{run:?}"),
            None => assert_eq!(run.stderr, "", "{run:?}"),
        }
        let json = cyan(&["check", file.to_str().unwrap(), "--json"]).await;
        let answer: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let warning = answer["warnings"][0].as_str();
        assert_eq!(warning.is_some(), said.is_some(), "{answer}");
        assert!(said.is_none_or(|words| warning.unwrap().contains(words)), "{answer}");
    }
}

#[tokio::test]
async fn a_config_is_checked_and_refused_alike_by_check_and_serve() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cyan.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "[listen]\nhttp = \"nowhere\"\n").unwrap();
    for verb in ["check", "serve"] {
        let run = cyan(&[verb, path]).await;
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{verb}: {run:?}");
        assert!(run.stderr.contains(&format!("{path}:2: listen.http: ")), "{verb}: {run:?}");
    }
    let json = cyan(&["check", path, "--json"]).await;
    let answer: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &answer["valid"]), (3, &serde_json::json!(false)));
    let errors = answer["errors"].as_array().unwrap();
    let found = errors.iter().find(|error| error["field"] == "listen.http").unwrap();
    let place = ["file", "line", "column", "field"].map(|key| found[key].clone());
    let expected = serde_json::json!([path, 2, 8, "listen.http"]);
    assert_eq!(serde_json::json!(place), expected, "{answer}");
    assert!(found["problem"].as_str().unwrap().contains("`nowhere`"), "{answer}");
    assert!(found["remedy"].is_string(), "{answer}");
    assert_eq!(cyan(&["serve"]).await.code, 2);
}
