"""What the page costs: bytes, time to the first paint, what moves while it is looked at."""

import pytest
from browser.stage import settled

BYTES_MAX = 120_000
FIRST_PAINT_MS_MAX = 1500
"""300 ms on a machine of its own; tests share theirs with servers, users and a build."""
SHIFT_MAX = 0.02
STREAM_BYTES_PER_S_MAX = 4_000


ramping = pytest.mark.parametrize("in_state", ["ramping"], indirect=True, scope="session")


@ramping
def test_all_parts_together_are_small(in_state, browser):
    _, stage = in_state
    page = browser.new_page()
    sizes = []
    page.on("response", lambda answer: sizes.append((answer.url, answer)))
    page.goto(stage.page)
    settled(page)
    parts = [a for url, a in sizes if url == stage.page or ".css" in url or ".js" in url or ".svg" in url]
    total = sum(len(answer.body()) for answer in parts)
    print(f"\n{len(parts)} parts, {total} bytes")
    assert len(parts) > 10
    assert total <= BYTES_MAX
    page.close()


@ramping
def test_the_first_paint_shows_the_state(in_state, open_page):
    _, stage = in_state
    page = open_page(stage)
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)"
    )
    print(f"\nfirst contentful paint after {paint[0]:.0f} ms")
    assert paint[0] <= FIRST_PAINT_MS_MAX


def test_nothing_jumps_while_a_rollout_goes_on(stage, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) {
                window.shifts.push([entry.value, document.title, entry.sources.map((s) => s.node?.id || s.node?.className || s.node?.nodeName)]);
            }
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    stage.start()
    page.goto(stage.page)
    settled(page)
    page.evaluate("window.shifts.length = 0")

    def requests(service: dict) -> int:
        return (service["rollout"]["judge"] or {}).get("requests", 0)

    before = requests(stage.service())
    stage.wait_until("20 more requests", lambda s: requests(s) >= before + 20, 60)
    stage.act("promote", to_percent=50)
    stage.wait_until("green has 50 %", lambda s: s["rollout"]["share_percent"] == 50)
    before = requests(stage.service())
    stage.wait_until("80 more requests", lambda s: requests(s) >= before + 80, 60)
    shifts = page.evaluate("window.shifts")
    total = sum(value for value, *_ in shifts)
    print(f"\nlayout shift {total:.4f}")
    assert total < SHIFT_MAX, shifts
    page.close()


@ramping
def test_the_stream_stays_small(in_state, open_page):
    _, stage = in_state
    page = open_page(stage)
    size = page.evaluate(
        """async () => {
            const answer = await fetch("/dashboard/live?service=chat");
            const reader = answer.body.getReader();
            await reader.read();
            let bytes = 0;
            const began = performance.now();
            while (performance.now() - began < 5000) bytes += (await reader.read()).value.length;
            reader.cancel();
            return bytes / 5; // the largest part, figures, comes once in that time
        }"""
    )
    print(f"\nthe stream has {size:.0f} bytes per second")
    assert size <= STREAM_BYTES_PER_S_MAX
