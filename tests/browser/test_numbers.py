"""Any number on the page is found, equal, in the admin API; and no number is shown where there is none."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect
from browser.fit import fits
from browser.stage import SIZES, Stage, settled
from harness.cyan import Cyan
from harness.process import wait_until
from mock_llm import MockLlm

LONG = [f"{name}-{'x' * (59 - len(name))}" for name in ("blue", "green", "red", "fourth", "fifth")]
"""Names as long as names may be."""
NOT_A_NUMBER = re.compile(r"NaN|undefined|null|Infinity|\[object")


def stats(stage: Stage, environment: str) -> dict:
    return stage.cyan.ask("GET", f"/v1/services/chat/environments/{environment}/stats?window=5m")


def number(text: str) -> float:
    """`1 204` and `0.83 %` and `12 ms` and `1.31 s`, in the base unit of the API."""
    value, unit = re.match(r"([−+-]?[\d.\u202f]+)\s*(%|ms|s)?", text).groups()
    return float(value.replace("\u202f", "").replace("−", "-")) * (1000 if unit == "s" else 1)


def cells(page: Page, row: str) -> list[str]:
    """Of a row of the table: blue, green, difference, axis, adds, reads."""
    return page.locator(f"#rows tr[data-key='{row}'] td").all_inner_texts()


def test_every_number_is_that_of_the_api(tmp_path, open_page):
    """Once the users have gone, numbers stand still, and page and API can be read one after the other."""
    with Stage(tmp_path) as stage:
        stage.blue.set_faults(status=0.05)
        stage.start()
        counted = lambda s: (s["rollout"]["judge"] or {}).get("requests", 0) >= 20  # noqa: E731
        stage.wait_until("green has had requests", counted, 60)
        page = open_page(stage)
        asked = stage.send_users_home()

        def is_counted() -> bool:
            return sum(stats(stage, name)["requests"] for name in ("blue", "green")) == asked

        wait_until(f"all {asked} requests are counted", is_counted)
        page.reload()
        settled(page)
        compare(stage, page)


def compare(stage: Stage, page: Page) -> None:
    service, sides = stage.service(), [stats(stage, name) for name in ("blue", "green")]
    for environment in service["environments"]:
        line = page.locator(".shares li").filter(has=page.get_by_text(environment["name"], exact=True)).inner_text()
        assert f"{environment['weight_percent']:g} %" in line and f"{environment['in_flight']} in flight" in line
        assert environment["version"] in line and environment["role"] in line
    bad = [side["standings"].get("bad", 0) for side in sides]
    errors = cells(page, "errors")
    for text, side, failed in zip(errors, sides, bad, strict=False):
        share, of = re.match(r"(\S+ %) (.*)", text.replace("\n", " ")).groups()
        hits, n = (number(part) for part in of.split(" of "))
        assert (hits, n) == (failed, side["requests"])
        assert number(share) == pytest.approx(side["failed_percent"], abs=0.006)
    for row, measure in (("TTFT p99", "ttft"), ("gap p99", "gap"), ("latency p99", "total")):
        for text, side in zip(cells(page, row), sides, strict=False):
            value, of = re.match(r"(\S+ m?s) of (.*)", text.replace("\n", " ")).groups()
            assert number(of) == side[measure]["count"], row
            assert number(value) == pytest.approx(side[measure]["p99_ms"], rel=0.01, abs=0.51), row
    details = service["rollout"]["judge"]["details"]["explanation"]
    shown = number(page.locator("#evidence .evidence").inner_text().rsplit(": ", 1)[1].split(" of ")[0])
    assert shown == pytest.approx(details["evidence"], abs=0.06)
    rows = page.locator("#rows tbody tr[data-key]").evaluate_all("(rows) => rows.map((row) => row.dataset.key)")
    adds = [cells(page, row)[4] for row in rows]
    added = sum(number(text) for text in adds if text != "–")
    assert added == pytest.approx(details["evidence"], abs=0.05 * len(adds) + 0.05)
    wrong = page.locator("#comparison").inner_text()
    for verdict, count in sides[0]["verdicts"].items():
        if count and verdict != "complete":
            assert f"blue {verdict.replace('_', ' ')} {count} " in wrong
    newest = stage.cyan.ask("GET", "/v1/journal?service=chat&limit=1")["entries"][0]
    assert newest["text"] in page.locator("#journal li").first.inner_text()


def test_nothing_is_no_number_and_one_request_is_one(tmp_path, open_page):
    with Stage(tmp_path, is_visited=False) as stage:
        page = open_page(stage)
        assert not NOT_A_NUMBER.search(page.locator("body").inner_text())
        assert "– req/s" in page.locator("#shares").inner_text() or "0.0 req/s" in page.locator("#shares").inner_text()
        expect(page.locator("#rows")).to_contain_text("No request has come in")
        stage.ask_once()
        expect(page.locator("#rows table")).to_be_visible(timeout=10_000)
        assert cells(page, "errors")[0].replace("\n", " ").startswith("0.00 % 0 of 1")
        assert cells(page, "errors")[1] == "–", "of the other side nothing is known"
        assert cells(page, "errors")[2] == "–"
        stage.blue.set_faults(status=1.0)
        for _ in range(9):
            stage.ask_once()
        expect(page.locator("#rows tr[data-key='errors'] td").first).to_contain_text("9 of 10", timeout=10_000)
        assert not NOT_A_NUMBER.search(page.locator("body").inner_text())


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Five environments with names of 60 characters, all with users."""
    directory = tmp_path_factory.mktemp("crowded")
    with MockLlm("all", directory, tokens=3) as llm:
        environments = {name: [llm.url] for name in LONG}
        weights = dict(zip(LONG, (60, 10, 10, 10, 10), strict=True))
        versions = {name: f"v{index}-{'y' * 57}" for index, name in enumerate(LONG)}
        with Cyan(directory, environments, weights, versions=versions) as cyan:
            yield cyan


def large(document: dict) -> dict:
    """The same page with numbers as large as they get: 600 s, millions of requests, evidence beyond the scale."""
    for row in document["rows"]:
        for side in (row["active"], row["candidate"]):
            value = {"percent": 99.99, "ms": 600_000, "per_s": 9999, "score": 0.123}[row["unit"]]
            side |= {"n": 12_345_678, "value": value, "low": value * 0.9, "high": value * 1.1}
            if "hits" in side:
                side["hits"] = 12_345_677
        row |= {"difference": [-600_000, -700_000, 600_000], "adds": 123_456.7}
    for environment in document["service"]["environments"]:
        environment["in_flight"] = 4_294_967
    for side in document["sides"].values():
        side |= {"requests": 12_345_678, "requests_per_s": 123_456.7, "not_complete": {"error_in_band": 1_234_567}}
    for figure in document["figures"]:
        for side in figure["sides"].values():
            side |= {"n": 12_345_678, "quantiles": [[600_000, 500_000, 600_000]] * 4}
    return document


def test_five_environments_long_names_and_large_numbers_fit(crowded, browser):
    errors = []
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.on("pageerror", lambda error: errors.append(str(error)))

    def answer(route: Route) -> None:
        route.fulfill(json=large(json.loads(route.fetch().text())))

    try:
        crowd(page, crowded, answer)
    finally:
        page.unroute_all(behavior="ignoreErrors")
        page.close()
    assert not errors


def crowd(page: Page, crowded: Cyan, answer: Callable[[Route], None]) -> None:
    page.route("**/dashboard/live*", lambda route: route.abort())
    page.route("**/dashboard/now*", answer)
    page.goto(f"{crowded.admin}/")
    expect(page.locator("#age")).to_contain_text("polling", timeout=15_000)
    for label in ("errors", "TTFT p99"):
        page.get_by_role("button", name=label, exact=True).click()
    assert "600 s" in page.locator("#rows").inner_text()
    assert not NOT_A_NUMBER.search(page.locator("body").inner_text())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size in SIZES:
            fits(page, size)
    marks = page.locator(".shares svg.mark").evaluate_all("(marks) => marks.map((mark) => mark.innerHTML)")
    assert len(set(marks)) == 5, "five shapes"
