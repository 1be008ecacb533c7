//! The command line on a real terminal: `cyan top`, questions, live lines, colours.

use crate::support::admin::TestAdmin;
use crate::support::eventually;
use crate::support::gate::Gate;
use crate::support::pty::Pty;

/// `cyan top` on a Cyan with 5 % on green, once it shows something.
async fn top(admin: &TestAdmin, wide: (u16, u16)) -> Pty {
    admin.put("/v1/services/chat/weights", r#"{"weights": {"blue": 95, "green": 5}}"#).await;
    let pty = Pty::cyan(&format!("top --admin {}", admin.url()), wide, &[]);
    pty.until("the environments", |text| text.contains("▲ green")).await;
    pty
}

#[tokio::test]
async fn top_shows_both_environments_at_every_width_and_gives_the_terminal_back() {
    let admin = TestAdmin::start().await;
    let mut pty = top(&admin, (80, 24)).await;
    let text = pty.text();
    assert!(pty.is_taken());
    assert!(
        text.contains("– SPLIT chat\n95 % goes to blue and 5 % to green, the candidate."),
        "{text}"
    );
    assert!(
        text.contains("share   req/s   failed  TTFT p50      p99  gap p99   run  healthy"),
        "{text}"
    );
    assert!(
        text.contains(
            "● blue      95 %    0.00        –         –        –        –     0      1/1"
        ),
        "{text}"
    );
    assert!(text.contains("live "), "{text}");

    pty.resize((40, 10));
    let narrow =
        pty.until("40 columns", |text| !text.contains("req/s") && text.contains("run")).await;
    assert!(narrow.contains("● blue      95 %        –        –     0"), "{narrow}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
    assert!(narrow.contains("q quit   r roll back"), "{narrow}");
    pty.resize((200, 24));
    pty.until("200 columns", |text| text.contains("total p99") && text.contains("candidate")).await;

    pty.press("q");
    assert_eq!(pty.code().await, 0);
    eventually("the screen is given back", || !pty.is_taken()).await;
}

#[tokio::test]
async fn top_rolls_back_after_the_second_press_only() {
    let admin = TestAdmin::start().await;
    let mut pty = top(&admin, (80, 24)).await;
    let is_split = || {
        let green = admin.controller.service("chat").unwrap().environments[1].weight;
        !green.is_zero()
    };
    pty.press("r");
    pty.until("it is armed", |text| text.contains("press r again: chat goes back at once")).await;
    pty.press("x");
    pty.until("it is not armed", |text| text.contains("q quit   r roll back")).await;
    assert!(is_split(), "one press changes nothing");
    pty.press("r");
    pty.until("it is armed", |text| text.contains("press r again")).await;
    pty.press("r");
    pty.until("it says so", |text| text.contains("chat was rolled back, on all cores in ")).await;
    assert!(!is_split());
    pty.until("the next look", |text| text.contains("● blue     100 %")).await;
    pty.press("\u{3}");
    assert_eq!(pty.code().await, 130);
}

#[tokio::test]
async fn top_says_when_cyan_has_gone_and_goes_on_when_it_is_back() {
    let admin = TestAdmin::start().await;
    let gate = Gate::before(admin.address).await;
    let pty = Pty::cyan(&format!("top --admin {}", gate.url()), (80, 24), &[]);
    pty.until("a look", |text| text.contains("live ")).await;
    gate.shut();
    let away = pty.until("it is away", |text| text.contains("no answer for ")).await;
    assert!(away.contains("cannot reach the admin API") && away.contains("● blue"), "{away}");
    gate.open();
    pty.until("it is back", |text| text.contains("live ")).await;
}

#[tokio::test]
async fn a_change_asks_and_takes_no_for_an_answer() {
    let admin = TestAdmin::start().await;
    let line = format!("weights blue=95 green=5 --admin {}", admin.url());
    for (answer, said, generation) in
        [("n\r", "nothing was changed", 1), ("y\r", "applied on all cores in ", 2)]
    {
        let mut pty = Pty::cyan(&line, (80, 24), &[]);
        let asked = pty.until("the question", |text| text.contains("apply? [y/N]")).await;
        assert!(asked.starts_with("chat: blue 100 % -> 95 %, green 0 % -> 5 %\n"), "{asked}");
        pty.press(answer);
        pty.until(said, |text| text.contains(said)).await;
        assert_eq!(pty.code().await, 0);
        assert_eq!(admin.controller.service("chat").unwrap().generation, generation);
    }
}

#[tokio::test]
async fn ctrl_c_is_an_answer_to_a_question() {
    let admin = TestAdmin::start().await;
    let line = format!("weights blue=95 green=5 --admin {}", admin.url());
    let mut pty = Pty::cyan(&line, (80, 24), &[]);
    pty.until("the question", |text| text.contains("apply? [y/N]")).await;
    pty.press("\u{3}");
    assert_eq!(pty.code().await, 130);
    pty.until("the end", |text| text.contains("\nerror: stopped; nothing was changed")).await;
    assert_eq!(admin.controller.service("chat").unwrap().generation, 1);
}

#[tokio::test]
async fn waiting_is_one_line_that_is_redrawn_unless_it_shall_be_quiet() {
    let admin = TestAdmin::start().await;
    let line = format!("deploy green --wait --within 3s --admin {}", admin.url());
    let mut pty = Pty::cyan(&line, (60, 24), &[]);
    let waiting = pty.until("progress", |text| text.contains("green is not ready: ")).await;
    assert_eq!(
        waiting.trim_end().lines().count(),
        1,
        "longer than the terminal, and cut: {waiting}"
    );
    assert_eq!(pty.code().await, 12);
    let end = pty.until("the end", |text| text.contains("error: ")).await;
    assert!(end.starts_with("error: green is not ready after 3 s: "), "the line is wiped: {end}");

    let mut quiet = Pty::cyan(&format!("{line} --quiet"), (60, 24), &[]);
    assert_eq!(quiet.code().await, 12);
    let end = quiet.until("the end", |text| text.contains("error: ")).await;
    assert!(end.starts_with("error: green is not ready after 3 s: "), "{end}");
}

#[tokio::test]
async fn colours_follow_no_color_and_glyphs_the_locale() {
    let admin = TestAdmin::start().await;
    let line = format!("status --admin {}", admin.url());
    for (variables, glyph) in
        [(vec![], "● blue"), (vec![("NO_COLOR", "1")], "● blue"), (vec![("LANG", "C")], "* blue")]
    {
        let mut pty = Pty::cyan(&line, (80, 24), &variables);
        assert_eq!(pty.code().await, 0);
        let text = pty.until("blue", |text| text.contains(glyph)).await;
        assert!(variables != [("LANG", "C")] || text.is_ascii(), "{text}");
        assert_eq!(pty.is_coloured(glyph), variables != [("NO_COLOR", "1")], "{variables:?}");
    }
}

#[tokio::test]
async fn a_config_is_checked_as_by_a_compiler() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cyan.toml");
    std::fs::write(
        &file,
        "[listen]\nhttp = \"127.0.0.1:8080\"\nhtps = 1\n[environment.blue]\nweigth = 5\n",
    )
    .unwrap();
    let mut pty = Pty::cyan(&format!("check {}", file.display()), (200, 24), &[]);
    assert_eq!(pty.code().await, 3);
    let text = pty.until("the end", |text| text.contains("nothing was changed")).await;
    assert!(
        text.contains(
            "listen: unknown key `htps`, did you mean `https`?\n    3 | htps = 1\n      | ^^^^\n"
        ),
        "{text}"
    );
    assert!(text.contains("    5 | weigth = 5\n      | ^^^^^^\n"), "{text}");
}
