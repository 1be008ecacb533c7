"""A small writer of SVG whose colours follow the reader's theme, as the dashboard's do."""

INK, MUTED, AXIS, BLUE, GREEN = "#15191e", "#55606d", "#7c8794", "#173bb0", "#159a6c"
RED, PAGE, HOLD, BACK = "#a02555", "#ffffff", "#8c6a00", "#a81e17"
DARK = {
    INK: "#e8ecf1",
    MUTED: "#a3adb9",
    AXIS: "#6b7682",
    BLUE: "#5585f5",
    GREEN: "#63eab5",
    RED: "#e0527a",
    PAGE: "#0e1217",
    HOLD: "#f2c037",
    BACK: "#ff8a7a",
}
"""Each colour on a light page, and what stands for it on a dark one. Sides differ by shape as well."""


class Svg:
    """A picture of elements, written at the end."""

    def __init__(self, width: int, height: int, title: str):
        self.elements: list[str] = []
        self.size, self.title = (width, height), title

    def path(self, points, stroke="none", width=2.0, fill="none", dash="", opacity=1.0) -> None:
        d = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.elements.append(
            f'<path d="{d}" class="s{_name(stroke)} f{_name(fill)}" stroke-width="{width}"'
            f'{dash} fill-opacity="{opacity}"/>'
        )

    def box(self, x, y, width, height, stroke=AXIS, fill="none", dash="", opacity=0.12) -> None:
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
        self.path(corners, stroke, 1.5, fill, dash, opacity)

    def arrow(self, x1, y1, x2, y2, colour=MUTED, dash="") -> None:
        """Horizontal or slanted; its head points from the first point to the second."""
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        self.path([(x1, y1), (x2, y2)], colour, 1.5, dash=dash)
        left = (x2 - 8 * dx - 4 * dy, y2 - 8 * dy + 4 * dx)
        right = (x2 - 8 * dx + 4 * dy, y2 - 8 * dy - 4 * dx)
        self.path([left, (x2, y2), right], colour, 1.5)

    def text(self, x, y, text, colour=MUTED, size=13, anchor="start", weight="normal") -> None:
        text = text.replace("&", "&amp;").replace("<", "&lt;")
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="f{_name(colour)}" font-size="{size}"'
            f' text-anchor="{anchor}" font-weight="{weight}">{text}</text>'
        )

    def written(self) -> str:
        width, height = self.size
        light = "".join(_rules(colour, colour) for colour in DARK)
        dark = "".join(_rules(colour, instead) for colour, instead in DARK.items())
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
            f' aria-label="{self.title}" font-family="system-ui, sans-serif">\n'
            f"<style>.fnone{{fill:none}}.snone{{stroke:none}}{light}"
            f"@media (prefers-color-scheme: dark){{{dark}}}</style>\n"
            f'<rect width="{width}" height="{height}" rx="8" class="f{_name(PAGE)}"/>\n'
            + "\n".join(self.elements)
            + "\n</svg>\n"
        )


def _name(colour: str) -> str:
    return colour.removeprefix("#")


def _rules(colour: str, value: str) -> str:
    return f".s{_name(colour)}{{stroke:{value}}}.f{_name(colour)}{{fill:{value}}}"
