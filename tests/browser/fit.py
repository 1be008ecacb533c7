"""Whether everything on a page fits: nothing scrolls sideways, nothing is cut, nothing stands outside."""

from playwright.sync_api import Page
from browser.stage import SIZES

ZOOMED = {"zoomed to 400 %": (320, 256)}
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
# Charts are drawn anew with the frame that has the new size.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
CLIPPED = """() => [...document.querySelectorAll("body *")].filter((node) =>
    node.clientWidth > 0 && !(node instanceof SVGElement) && !node.closest("svg")
    && node.scrollWidth > node.clientWidth + 1
    && (getComputedStyle(node).overflowX !== "visible"
      || node.getBoundingClientRect().left + node.scrollWidth > document.documentElement.clientWidth + 1)
  ).map((node) => `${node.tagName} ${node.id || node.className}: ${node.scrollWidth} > ${node.clientWidth}`)"""
OUTSIDE = """() => [...document.querySelectorAll("body *")].filter((node) => {
    const { left, right, width } = node.getBoundingClientRect();
    return width > 0 && (left < -1 || right > document.documentElement.clientWidth + 1);
  }).map((node) => `${node.tagName} ${node.id}`)"""
# Texts that lie on each other: cells of a row, and what stands in a line of shares.
OVERLAPPING = """() => [...document.querySelectorAll("tr, .shares li, .bar, .band, .row, .track")].flatMap((parent) => {
    const boxes = [...parent.children].map((node) => [node, node.getBoundingClientRect()])
      .filter(([node, { width, height }]) => width > 0 && height > 0 && getComputedStyle(node).position === "static");
    return boxes.flatMap(([node, a], index) => boxes.slice(index + 1)
      .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
      .map(([other]) => `${node.className || node.textContent} lies on ${other.className || other.textContent}`));
  })"""


def fits(page: Page, size: str) -> None:
    """Makes the page this wide, and looks at all of it."""
    width, height = (SIZES | ZOOMED)[size]
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(DRAWN)
    for problem in (CLIPPED, OUTSIDE, OVERLAPPING):
        found = page.evaluate(problem)
        assert not found, f"{size}: {found}"
    scrolled, client = page.evaluate(WIDTHS)
    assert scrolled <= client, f"{size}: {scrolled} > {client}"
