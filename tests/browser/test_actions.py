"""Every action, pressed in a real browser, and what the API says afterwards."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from browser.stage import Stage, reach, settled, stage_of

SECOND_PRESS_AFTER_MS = 400
"""A rollback is armed for 350 ms before it takes the second press."""


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Iterator[Stage]:
    """A stage without a rollout; each test leaves everything with blue."""
    with Stage(tmp_path_factory.mktemp("calm")) as stage:
        yield stage


@pytest.fixture(scope="module")
def ramping(tmp_path_factory) -> Iterator[Stage]:
    """A stage with a rollout that goes on; each test leaves it so."""
    with Stage(tmp_path_factory.mktemp("ramping")) as stage:
        stage.start()
        yield stage


def dialog(page: Page):
    return page.locator("dialog[open]")


def confirm(page: Page, verb: str) -> None:
    """Presses the dialog's button, which repeats the verb."""
    dialog(page).get_by_role("button", name=verb, exact=True).click()
    expect(dialog(page)).to_have_count(0)


def press(page: Page, name: str) -> None:
    page.locator("#actions").get_by_role("button", name=name, exact=True).click()


def weights(service: dict) -> dict:
    return {e["name"]: e["weight_percent"] for e in service["environments"]}


def journal(stage: Stage) -> list[dict]:
    return stage.cyan.ask("GET", "/v1/journal?service=chat&limit=20")["entries"]


def test_a_rollout_is_started_paused_resumed_and_promoted(stage, open_page):
    page = open_page(stage)
    press(page, "Start rollout…")
    expect(dialog(page).get_by_label("Environment")).to_have_value("green")
    confirm(page, "Start rollout")
    stage.wait_for_users()
    press(page, "Pause")
    service = stage.wait_for("paused")
    assert service["rollout"]["paused"]["by"] == "dashboard"
    press(page, "Resume…")
    confirm(page, "Resume at 10 %")
    stage.wait_for("ramping")
    press(page, "Promote…")
    expect(dialog(page)).to_contain_text("Not waited for")
    expect(dialog(page).locator(".change")).to_contain_text(re.compile("green.*10 %.*50 %"))
    dialog(page).get_by_role("button", name="Promote to 50 %").click()
    expect(dialog(page)).to_have_count(1)  # the open gates ask for a reason
    dialog(page).get_by_label("Why (goes into the journal)").fill("seen enough")
    confirm(page, "Promote to 50 %")
    stage.wait_until("green has 50 %", lambda s: s["rollout"]["share_percent"] == 50)
    expect(page.locator("#result")).to_contain_text(re.compile(r"applied on all \d+ cores in [\d.]+ ms"))
    entry = next(entry for entry in journal(stage) if entry["kind"] == "rollout_stepped")
    assert (entry["actor"], entry["reason"]) == ("dashboard", "seen enough")


def test_a_rollback_takes_two_presses_on_one_spot(stage, open_page):
    stage.start()
    page = open_page(stage)
    button = page.locator("#actions .roll-back")
    before = button.bounding_box()
    button.click()
    expect(button).to_have_text("Roll green back: 10 % → 0 %")
    assert button.bounding_box()["x"] == before["x"]
    page.keyboard.press("Escape")
    expect(button).to_have_text("↩ Roll back")
    button.dblclick()
    expect(button).to_have_text("Roll green back: 10 % → 0 %")  # a double click is no decision
    assert stage.service()["state"] == "ramping"
    page.wait_for_timeout(SECOND_PRESS_AFTER_MS)
    button.click()
    service = stage.wait_for("rolled_back")
    assert weights(service) == {"blue": 100, "green": 0}
    expect(page.locator("#word")).to_have_text("ROLLED BACK")
    expect(page.locator("#result")).to_contain_text("applied on all")


def test_a_rollback_is_two_keys_and_blur_disarms(stage, open_page):
    stage.start()
    page = open_page(stage)
    page.keyboard.press("r")
    button = page.locator("#actions .roll-back")
    expect(button).to_have_text("Roll green back: 10 % → 0 %")
    page.keyboard.press("Tab")
    expect(button).to_have_text("↩ Roll back")
    page.keyboard.press("r")
    expect(button).to_have_text("Roll green back: 10 % → 0 %")
    page.wait_for_timeout(SECOND_PRESS_AFTER_MS)
    page.keyboard.press("Enter")
    stage.wait_for("rolled_back")


def test_start_pause_resume_and_promote_by_keyboard_alone(stage, open_page):
    page = open_page(stage)
    page.keyboard.press("s")
    dialog(page).get_by_label("Plan").press("Enter")
    stage.wait_for_users()
    expect(page.locator("#word")).to_have_text("RAMPING")
    page.keyboard.press("p")
    stage.wait_for("paused")
    expect(page.locator("#word")).to_have_text("PAUSED")
    page.keyboard.press("p")
    expect(dialog(page)).to_contain_text("Resume green?")
    dialog(page).get_by_role("button", name="Resume").press("Enter")
    stage.wait_for("ramping")
    expect(page.locator("#word")).to_have_text("RAMPING")
    page.keyboard.press("n")
    dialog(page).get_by_label("Why (goes into the journal)").press_sequentially("by keys")
    page.keyboard.press("Enter")
    stage.wait_until("green has 50 %", lambda s: s["rollout"]["share_percent"] == 50)


def test_letters_are_dead_in_fields_and_can_be_switched_off(ramping, open_page):
    stage = ramping
    page = open_page(stage)
    page.keyboard.press("/")
    page.keyboard.type("ready r p")
    expect(page.locator("#filter")).to_have_value("ready r p")
    expect(page.locator("#actions .roll-back")).to_have_text("↩ Roll back")
    page.locator("h2").first.click()
    page.keyboard.press("?")
    dialog(page).get_by_label("Letters act").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.locator("#actions .roll-back")).to_have_text("↩ Roll back")
    assert stage.service()["state"] == "ramping"


def test_weights_switch_and_drain(stage, open_page):
    page = open_page(stage)
    press(page, "More…")
    dialog(page).get_by_role("button", name="Set weights…").click()
    dialog(page).get_by_label("blue").fill("80")
    dialog(page).get_by_label("green").fill("30")
    dialog(page).get_by_role("button", name="Set weights").click()
    expect(dialog(page).locator(".alert")).to_contain_text("110")
    dialog(page).get_by_label("green").fill("20")
    confirm(page, "Set weights")
    assert weights(stage.wait_for("split")) == {"blue": 80, "green": 20}
    expect(page.locator("#word")).to_have_text("SPLIT")
    page.locator("#environments").get_by_role("button", name="Switch to green…").click()
    expect(dialog(page).locator(".change")).to_contain_text(re.compile("green.*20 %.*100 %"))
    confirm(page, "Switch to green")
    stage.wait_until("green is active", lambda s: s["active"] == "green")
    page.locator("#environments").get_by_role("button", name="Drain blue…").click()
    confirm(page, "Drain blue")

    def is_drained(service: dict) -> bool:
        return bool(service["environments"][0]["drain"])

    stage.wait_until("blue drains", is_drained)


def test_release_asks_for_the_name(stage, open_page):
    stage.start()
    page = open_page(stage)
    press(page, "More…")
    dialog(page).get_by_role("button", name="Promote to 100 %…").click()
    dialog(page).get_by_label("Why").fill("all of it")
    dialog(page).get_by_label(re.compile("write green")).fill("green")
    confirm(page, "Promote to 100 %")
    stage.wait_for("done")
    press(page, "Release blue now…")
    typed = dialog(page).get_by_label(re.compile("write blue"))
    typed.fill("green")
    dialog(page).get_by_role("button", name="Release blue").click()
    expect(dialog(page).locator(".alert")).to_have_text("That is not blue.")
    assert stage.service()["state"] == "done"
    typed.fill("blue")
    confirm(page, "Release blue")
    stage.wait_for("idle")


def test_a_freeze_is_set_shown_and_lifted(calm, open_page):
    stage = calm
    page = open_page(stage)
    press(page, "More…")
    dialog(page).get_by_role("button", name="Freeze automatic steps…").click()
    dialog(page).get_by_label(re.compile("Why")).fill("before Monday")
    confirm(page, "Freeze")
    expect(page.locator("#next")).to_contain_text("Frozen: before Monday")
    press(page, "More…")
    dialog(page).get_by_role("button", name="Unfreeze…").click()
    confirm(page, "Unfreeze")
    expect(page.locator("#next")).not_to_contain_text("Frozen")


def test_a_question_that_comes_too_late_is_asked_anew(calm, open_page):
    stage = calm
    page = open_page(stage)
    press(page, "More…")
    dialog(page).get_by_role("button", name="Set weights…").click()
    dialog(page).get_by_label("blue").fill("60")
    dialog(page).get_by_label("green").fill("40")
    stage.cyan.set_weights(blue=90, green=10)
    dialog(page).get_by_role("button", name="Set weights").click()
    expect(dialog(page).locator(".alert")).to_contain_text("This is the state now.")
    expect(dialog(page).get_by_label("green")).to_have_value("10")
    assert weights(stage.service()) == {"blue": 90, "green": 10}
    stage.cyan.set_weights(blue=100, green=0)


def test_who_keeps_a_hold_mutes_its_alert_and_pauses_nothing(tmp_path, open_page):
    with stage_of("held", tmp_path) as stage:
        reach(stage, "held")
        page = open_page(stage)
        press(page, "Keep holding")
        expect(page.locator("#result")).to_contain_text("Keep holding: applied on all")
        expect(page.locator("#next")).to_contain_text("dashboard keeps it; the alert rests 30 min more.")
        rollout = stage.service()["rollout"]
        assert (rollout["muted"]["by"], rollout["paused"]) == ("dashboard", None)
        assert stage.service()["state"] == "held"
        entry = next(entry for entry in journal(stage) if entry["kind"] == "rollout_muted")
        assert entry["actor"] == "dashboard" and "its alert rests for 30 min" in entry["text"]
        expect(page.locator("#journal")).to_contain_text("its alert rests for 30 min")


def test_an_address_leads_to_a_rollout_and_to_an_entry_of_the_journal(stage, open_page):
    stage.start()
    stage.cyan.rollback()
    stage.wait_for("rolled_back")
    stage.cyan.ask("POST", "/v1/services/chat/rollout", {"candidate": "green", "again": True})
    stage.wait_for_users()
    first, second = (rollout["id"] for rollout in reversed(
        stage.cyan.ask("GET", "/v1/services/chat/rollouts")["rollouts"]))
    entry = journal(stage)[-1]["id"]
    page = open_page(stage)
    for address, marked in ((f"chat/rollout/{first}", f"#rollout-{first}"), (f"chat/journal/{entry}", f"#journal-{entry}")):
        page.goto(f"{stage.page}#{address}")
        expect(page.locator(marked)).to_have_class("marked")
        expect(page.locator(marked)).to_be_in_viewport()
    page.goto(f"{stage.page}#chat/rollout/{second}")
    expect(page.locator("#rollout-title")).to_be_in_viewport()
    expect(page.locator("#rollout-title")).to_contain_text(f"Rollout {second}:")


def test_weights_set_after_a_rollout_are_no_steps_of_it(stage, open_page):
    stage.start()
    stage.cyan.rollback()
    stage.wait_for("rolled_back")
    stage.cyan.ask("PUT", "/v1/services/chat/weights", {"weights": {"blue": 30, "green": 70}})
    page = open_page(stage)
    expect(page.locator("#band")).to_contain_text("70 % to green")
    expect(page.locator("#track li.taken")).to_have_text(re.compile(r"✓ 10 %\d\d:\d\d:\d\d"))


def test_a_row_opens_what_is_behind_its_numbers(ramping, open_page):
    stage = ramping
    stage.blue.set_faults(status=0.3)
    page = open_page(stage)
    expect(page.locator("#comparison")).to_contain_text("Not complete", timeout=10_000)
    row = page.get_by_role("button", name="errors", exact=True)
    row.click()
    expect(row).to_have_attribute("aria-expanded", "true")
    opened = page.locator("#rows tr.opened")
    expect(opened.locator("table")).to_contain_text("http error")
    row.press("Enter")
    expect(opened).to_have_count(0)
    page.get_by_role("button", name="TTFT p99", exact=True).click()
    expect(opened.locator("figcaption")).to_contain_text("Time to first token")
    expect(opened).to_contain_text("Difference ")


def test_the_form_of_the_charts_their_tables_and_the_filter(ramping, open_page):
    stage = ramping
    page = open_page(stage)
    page.keyboard.press("g")
    expect(page.locator("#form")).to_have_text("As quantiles (g)")
    expect(page.locator("#figures figure > svg").first).to_contain_text("highest step")
    page.keyboard.press("t")
    expect(page.locator("#figures table").first).to_contain_text("p99")
    page.locator("#filter").fill("candidate_ready")
    expect(page.locator("#journal li")).to_have_count(1)
    page.locator("#filter").fill("no such thing")
    expect(page.locator("#journal")).to_have_text("Nothing that fits.")


def test_a_theme_that_was_chosen_is_kept(calm, open_page):
    stage = calm
    page = open_page(stage, scheme="light")
    page.get_by_role("button", name="Change the theme").click()
    page.reload()
    settled(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 23)"
