"""Says at the end what was not run, and why."""

from collections import Counter

from docs.page import pages


def pytest_terminal_summary(terminalreporter) -> None:
    blocks = [block for page in pages() for block in page.blocks if "needs" in block.notes]
    count = Counter(block.notes["needs"] for block in blocks)
    needs = ", ".join(f"{what}: {number}" for what, number in sorted(count.items()))
    terminalreporter.section(f"not run: {len(blocks)} blocks of the documentation ({needs})")
    for block in blocks:
        terminalreporter.write_line(f"{block.place} needs: {block.notes['needs']}")
