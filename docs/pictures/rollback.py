#!/usr/bin/env python3
"""Draws the README's picture: a rollout that is taken back, as it was measured.

    docs/pictures/rollback.py record PROGRAM    plays `PROGRAM demo --fault slow`, writes rollback.json
    docs/pictures/rollback.py draw              writes rollback.svg from rollback.json

Nothing in the picture is made up: shares, evidence and both distributions are read from the admin API
while the demo runs. The stairs are drawn as stairs, evidence on a logarithmic axis, because 5 and 100
are as far apart for the judge as 1 and 20.
"""

import json
import math
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from svg import AXIS, BACK, BLUE, GREEN, HOLD, INK, MUTED, Svg

HERE = Path(__file__).resolve().parent
DATA, PICTURE = HERE / "rollback.json", HERE / "rollback.svg"
SECONDS_MAX = 240
"""The demo decides within two minutes of its start; beyond this it is not worth a picture."""


def record(program: str) -> None:
    with tempfile.TemporaryFile("w+") as said:
        command = [program, "demo", "--fault", "slow", "--port", "24600", "--admin-port", "24650"]
        demo = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            DATA.write_text(compact(observe(said)))
        finally:
            demo.terminate()
            demo.wait()


def observe(said) -> dict:
    """What the admin API says each quarter of a second until the users are back."""
    started, points, distributions, admin = time.monotonic(), [], {}, None
    fault_at = None
    while time.monotonic() - started < SECONDS_MAX:
        time.sleep(0.25)
        admin = admin or address_in(said)
        rollout = admin and ask(f"{admin}/v1/services/chat/rollout")
        if not rollout:
            continue
        judge = (rollout.get("judge") or {}).get("details") or {}
        explanation = judge.get("explanation") or {}
        at = round(time.monotonic() - started, 2)
        share = rollout.get("share_percent") or 0.0
        points.append({"at_s": at, "share_percent": share, "evidence": explanation.get("evidence")})
        said.seek(0)
        if fault_at is None and " fault " in said.read():
            fault_at = at
        if rollout["stage"] == "rolled_back":
            # The judge is done by now; its last word is the reason.
            decided = re.search(r"Evidence against green is ([\d.e]+)", rollout["cause"]["text"])
            points[-1]["evidence"] = float(decided[1]) if decided else None
            return {
                "fault_at_s": fault_at,
                "cause": rollout["cause"]["text"],
                "points": points,
                "distributions": distributions,
            }
        if share >= 25:
            for name in ("blue", "green"):
                path = f"/v1/services/chat/environments/{name}/histogram?metric=ttft&window=10s"
                distributions[name] = ask(admin + path)["buckets"]
    raise SystemExit(f"not rolled back within {SECONDS_MAX} s; nothing was written")


def compact(measured: dict) -> str:
    """One line per point, so that a new recording is a small change."""
    text = json.dumps(measured, indent=1)
    return re.sub(r"\{\s+([^{}]*?)\s+\}", lambda at: "{" + re.sub(r"\s+", " ", at[1]) + "}", text) + "\n"


def address_in(said) -> str | None:
    said.seek(0)
    lines = [line for line in said.read().splitlines() if line.startswith(("Admin", "Dashboard"))]
    return "/".join(lines[0].split()[1].split("/")[:3]) if lines else None


def ask(url: str) -> dict | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.load(answer)
    except OSError:
        return None


def draw() -> None:
    data = json.loads(DATA.read_text())
    title = (
        "Above: how long users waited for the first token, on blue and on green. "
        "Below: green's share rises by steps, the evidence crosses 100, and the share falls to 0."
    )
    svg = Svg(860, 430, title)
    draw_distributions(svg, data["distributions"], top=44, height=110)
    draw_rollout(svg, data["points"], data["fault_at_s"], top=208, height=170)
    PICTURE.write_text(svg.written())


LEFT, RIGHT = 56, 790


def draw_distributions(svg: Svg, distributions: dict, top: int, height: int) -> None:
    low, high = math.log10(0.02), math.log10(2.0)
    svg.text(LEFT, top - 18, "time to the first token, last 10 s before the way back", INK, 14)

    def x_of(seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(seconds) - low) / (high - low)

    slots = 44
    shares = {side: in_slots(buckets, low, high, slots) for side, buckets in distributions.items()}
    peak = max(max(values) for values in shares.values())
    for side, colour, dash in (("blue", BLUE, ""), ("green", GREEN, "6 4")):
        step = (RIGHT - LEFT) / slots
        outline = [(LEFT, top + height)]
        for index, share in enumerate(shares[side]):
            y = top + height - height * share / peak
            outline += [(LEFT + index * step, y), (LEFT + (index + 1) * step, y)]
        outline.append((RIGHT, top + height))
        svg.path(outline, colour, 2, colour, dash, opacity=0.12)
    svg.path([(LEFT, top + height), (RIGHT, top + height)], AXIS, 1)
    for seconds, label in ((0.02, "20 ms"), (0.1, "100 ms"), (0.5, "500 ms"), (2.0, "2 s")):
        svg.text(x_of(seconds), top + height + 17, label, MUTED, 12, "middle")
    svg.text(RIGHT, top - 2, "● blue, solid", BLUE, 13, "end")
    svg.text(RIGHT, top + 17, "▲ green, dashed", GREEN, 13, "end")


def in_slots(buckets: list, low: float, high: float, slots: int) -> list[float]:
    counts = [0.0] * slots
    for bucket in buckets:
        seconds = (bucket["from"] + bucket["to"]) / 2e6
        place = (math.log10(max(seconds, 1e-6)) - low) / (high - low)
        counts[min(slots - 1, max(0, int(place * slots)))] += bucket["count"]
    total = sum(counts) or 1.0
    return [count / total for count in counts]


def draw_rollout(svg: Svg, points: list, fault_at: float, top: int, height: int) -> None:
    begin = next(p["at_s"] for p in points if p["share_percent"] > 0)
    end = points[-1]["at_s"] + 4
    points = [p for p in points if p["at_s"] >= begin - 4]
    bottom = top + height

    def x_of(at: float) -> float:
        return LEFT + (RIGHT - LEFT) * (at - begin + 4) / (end - begin + 4)

    def y_of_share(share: float) -> float:
        return bottom - height * 0.9 * math.sqrt(share / 50)

    def y_of_evidence(evidence: float) -> float:
        return bottom - height * 0.9 * math.log10(max(evidence, 1.0)) / math.log10(200)

    svg.text(LEFT, top - 4, "green's share of the users, and the evidence against it", INK, 14)
    stairs, last = [], 0.0
    for point in points:
        x, share = x_of(point["at_s"]), point["share_percent"]
        if share > last:
            svg.text(x + 4, y_of_share(share) - 5, f"{share:g} %", GREEN, 12)
        stairs += [(x, y_of_share(last)), (x, y_of_share(share))]
        last = share
    stairs.append((x_of(end), y_of_share(last)))
    svg.path([*stairs, (x_of(end), bottom), (LEFT, bottom)], "none", 0, GREEN, opacity=0.14)
    svg.path(stairs, GREEN, 2, dash="6 4")
    for evidence, label, colour in ((20, "20 hold", HOLD), (100, "100 roll back", BACK)):
        y = y_of_evidence(evidence)
        svg.path([(LEFT, y), (RIGHT, y)], colour, 1, dash="2 4")
        svg.text(LEFT, y - 4, label, colour, 12)
    svg.path([(x_of(fault_at), top + 8), (x_of(fault_at), bottom)], MUTED, 1)
    svg.text(x_of(fault_at) - 5, top + 18, "green becomes slow", MUTED, 12, "end")
    line = [(x_of(p["at_s"]), y_of_evidence(p["evidence"])) for p in points if p["evidence"]]
    line = [(x, max(y, top)) for x, y in line]
    svg.path(line, INK, 2)
    svg.path([(LEFT, bottom), (RIGHT, bottom)], AXIS, 1)
    for seconds in range(0, int(end - begin) + 1, 15):
        svg.text(x_of(begin + seconds), bottom + 18, f"{seconds} s", MUTED, 12, "middle")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", program]:
            record(program)
        case ["draw"]:
            draw()
        case _:
            raise SystemExit(__doc__)
