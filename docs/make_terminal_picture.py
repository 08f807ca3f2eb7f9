"""Makes docs/terminal.svg, the picture of the terminal in the README, from the real output on examples/clinic.txt.

Run it in a checkout after a change of rules, model or terminal output: ``.venv/bin/python docs/make_terminal_picture.py``
"""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from als_redflags import Scorer
from als_redflags.render import print_report

ROOT = Path(__file__).parent.parent
COLUMNS = 100
FLAGS = 4  # shown, the gravest; then what to do next


def picture() -> str:
    """The output as SVG: verdict, the first flags, the number of lines that are left out, and what to do next."""
    source = "examples/clinic.txt"
    scorer = Scorer.load()
    report = scorer.score((ROOT / source).read_text("utf-8"), source=source)
    whole = io.StringIO()
    terminal = Console(file=whole, width=COLUMNS, force_terminal=True, color_system="standard", no_color=False)
    print_report(terminal, report, scorer.book)
    lines = whole.getvalue().splitlines()
    gaps = [number for number, line in enumerate(lines) if not line.strip()]
    first, last = gaps[FLAGS], next(number for number, line in enumerate(lines) if "What to do next" in line)
    shown = [*lines[:first], "", f"\x1b[2m[... {last - first} lines ...]\x1b[0m", "", *lines[last:]]
    console = Console(file=io.StringIO(), width=COLUMNS, record=True, force_terminal=True, no_color=False, highlight=False)
    console.print(Text(f"$ als-redflags score {source}", style="bold"))
    for line in shown:
        console.print(Text.from_ansi(line.rstrip()))
    svg = console.export_svg(title="als-redflags", unique_id="terminal")
    # the fonts of the machine that shows the picture do; none is loaded from elsewhere
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    (ROOT / "docs" / "terminal.svg").write_text(picture(), "utf-8")
