#!/usr/bin/env python3
"""Draws the pictures of "Understand": `docs/pictures/concepts.py` writes them beside itself.

They explain and measure nothing; what is measured stands in `rollback.py`.
"""

import math
import random
from pathlib import Path

from svg import AXIS, BACK, BLUE, GREEN, HOLD, INK, MUTED, RED, Svg

HERE = Path(__file__).resolve().parent
WIDTH = 760


def main() -> None:
    for name, picture in (
        ("ramp", ramp()),
        ("users", users()),
        ("judge", judge()),
        ("switch", switch()),
        ("restart", restart()),
        ("limits", limits()),
    ):
        (HERE / f"{name}.svg").write_text(picture.written())


def ramp() -> Svg:
    """The stages of a rollout, and the one way back from each of them."""
    svg = Svg(WIDTH, 250, "A rollout: ready, smoke, quality, warm-up, steps of 1 to 100 percent, armed, done")
    names = ["ready", "smoke", "quality", "warm-up"]
    for index, stage in enumerate(names):
        svg.box(20 + index * 84, 60, 76, 34)
        svg.text(58 + index * 84, 82, stage, INK, 13, "middle")
    svg.text(20, 44, "no user has met green")
    x = 364
    svg.text(x, 44, "users meet green, watched")
    for share, height in ((1, 12), (5, 34), (25, 68), (50, 100), (100, 140)):
        svg.path([(x, 200), (x, 200 - height), (x + 56, 200 - height), (x + 56, 200)], GREEN, 2, GREEN, "6 4", 0.12)
        svg.text(x + 28, 194 - height, f"{share} %", GREEN, 12, "middle")
        x += 56
    svg.box(x + 8, 60, 96, 34)
    svg.text(x + 56, 82, "armed 30 min", INK, 12, "middle")
    svg.path([(20, 200), (740, 200)], AXIS, 1)
    svg.arrow(620, 226, 30, 226, BLUE)
    svg.text(325, 219, "at any moment: cyan rollback, or by itself; everybody is on blue", BLUE, 13, "middle")
    return svg


def users() -> Svg:
    """A threshold moves over the hashed users: who got green keeps it."""
    svg = Svg(WIDTH, 240, "Users on a line by their hash; the threshold moves to the right as the ramp goes on")
    draw = random.Random(8)
    places = sorted(draw.random() for _ in range(36))
    for row, share in enumerate((0.05, 0.25, 0.50)):
        y = 60 + row * 62
        edge = 110 + 620 * share
        svg.text(20, y + 5, f"green {share:.0%}".replace("%", " %"), INK, 14)
        svg.path([(110, y), (730, y)], AXIS, 1)
        svg.path([(edge, y - 22), (edge, y + 22)], GREEN, 2, dash="6 4")
        for place in places:
            x, on_green = 110 + 620 * place, place < share
            svg.text(x, y + 5, "▲" if on_green else "●", GREEN if on_green else BLUE, 13, "middle")
    svg.text(110, 28, "each user stands where the hash of their key says, and never moves; the threshold does")
    svg.text(110, 228, "25 → 0 %: exactly those left of the threshold return")
    return svg


def judge() -> Svg:
    """A gambler's coin, logarithmic: fair bets get nowhere, and a bad version makes them rich."""
    svg = Svg(WIDTH, 280, "A coin over time: with a healthy version it stays near 1, with a bad one it crosses 20 and 100")
    bottom, height = 230, 190

    def y_of(evidence: float) -> float:
        return bottom - height * (math.log10(max(evidence, 0.3)) + 0.53) / 2.83

    for evidence, label, colour in ((100, "100 roll back", BACK), (20, "20 hold", HOLD), (5, "5 calm", MUTED), (1, "1", MUTED)):
        svg.path([(70, y_of(evidence)), (740, y_of(evidence))], colour, 1, dash="2 4")
        svg.text(62, y_of(evidence) + 4, label.split()[0], colour, 12, "end")
        svg.text(738, y_of(evidence) - 4, " ".join(label.split()[1:]), colour, 12, "end")
    draw, share = random.Random(5), 0.25
    for failing, colour, dash, last in ((1.0, BLUE, "", 200), (3.0, GREEN, "6 4", 200)):
        coin, points = 1.0, [(70.0, y_of(1.0))]
        chance = share * failing / (share * failing + 1 - share)
        for failure in range(1, last):
            green_failed = draw.random() < chance
            coin *= 0.7 + 0.3 * (2.0 if green_failed else (1 - 2.0 * share) / (1 - share))
            points.append((70 + failure * 3.3, y_of(min(coin, 160))))
            if coin >= 100:
                break
        svg.path(points, colour, 2, dash=dash)
    svg.text(74, 24, "what one coin has become, each time a request failed", INK, 14)
    svg.text(74, 262, "● solid: green is as good as blue    ▲ dashed: green fails three times as often", INK, 13)
    return svg


def switch() -> Svg:
    """Streams keep their side through a switch; only what begins afterwards goes to the other one."""
    svg = Svg(WIDTH, 250, "Streams that began on blue before a switch end on blue; later ones begin on green")
    svg.path([(340, 40), (340, 210)], INK, 2)
    svg.text(340, 30, "switch", INK, 14, "middle")
    for row, (begin, end, side) in enumerate(
        ((60, 300, 0), (120, 470, 0), (200, 620, 0), (260, 390, 0), (352, 600, 1), (410, 700, 1), (480, 740, 1))
    ):
        y, colour = 56 + row * 22, (BLUE, GREEN)[side]
        svg.text(begin - 12, y + 5, "●▲"[side], colour, 12, "middle")
        svg.path([(begin, y), (end, y)], colour, 5 if side == 0 else 4, dash="" if side == 0 else "8 4")
    svg.path([(40, 210), (740, 210)], AXIS, 1)
    svg.text(190, 232, "everything begins on blue", BLUE, 13, "middle")
    svg.text(540, 232, "everything begins on green; blue drains", GREEN, 13, "middle")
    return svg


def restart() -> Svg:
    """What is known at each moment of a stop, a crash and a start."""
    svg = Svg(WIDTH, 190, "A restart: state on the disk, a first look at upstreams, serving, the rollout goes on")
    stages = [
        ("SIGTERM", "/readyz 503"),
        ("stop accepting", "what runs ends"),
        ("state", "on the disk"),
        ("first look", "who answers?"),
        ("serving", "nobody moves"),
        ("rollout", "goes on"),
    ]
    for index, (title, text) in enumerate(stages):
        x = 16 + index * 124
        svg.box(x, 60, 108, 58, BLUE if index == 2 else AXIS, BLUE if index == 2 else "none")
        svg.text(x + 54, 84, title, INK, 13, "middle", "bold")
        svg.text(x + 54, 104, text, MUTED, 11, "middle")
        if index < len(stages) - 1:
            svg.arrow(x + 110, 89, x + 122, 89)
    svg.arrow(70, 158, 312, 124, RED, "2 4")
    svg.text(16, 172, "crash: straight to the state, five seconds of evidence lost at most", RED, 13)
    svg.text(16, 36, "a stop and a start, from left to right", INK, 14)
    return svg


def limits() -> Svg:
    """How far each kind of trouble is seen, and by what."""
    svg = Svg(WIDTH, 230, "Trouble that Cyan sees by itself, with your scores, and not at all")
    columns = [
        ("by itself", BLUE, ["5xx, no connection", "error inside a 200", "cut, stalled, empty", "late first token", "refusals, by comparison"]),
        ("with your scores", GREEN, ["wrong answers", "worse answers", "unsafe answers", "a format not kept"]),
        ("not at all", RED, ["below half a point more", "one user a day", "both sides alike", "a form it does not know"]),
    ]
    for index, (title, colour, lines) in enumerate(columns):
        x = 20 + index * 246
        svg.box(x, 40, 228, 170, colour, colour, dash=("", "6 4", "2 4")[index], opacity=0.08)
        svg.text(x + 14, 66, "●▲■"[index] + " " + title, colour, 15, "start", "bold")
        for row, line in enumerate(lines):
            svg.text(x + 14, 94 + row * 24, line, INK, 13)
    return svg


if __name__ == "__main__":
    main()
