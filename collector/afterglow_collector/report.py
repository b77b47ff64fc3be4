"""The terminal report of one run: what failed, what was left behind, when, and what it all took.

In: the run document (docs/run-document.md), a rich console, and the folder that the function's code lies in.
Out: text on the console, within its width, in plain ASCII where its encoding has nothing else.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.text import Text

from afterglow_collector.bars import bars_of
from afterglow_collector.chart import draw, legend
from afterglow_collector.ending_blocks import ending_blocks
from afterglow_collector.figures import cost_figures, invocation_figures, loss_figures, memory_figures
from afterglow_collector.init_modules import module_blocks
from afterglow_collector.lingering import lingering_blocks
from afterglow_collector.memory_curves import memory_curves
from afterglow_collector.state_blocks import state_blocks
from afterglow_collector.timeline import left_out, stretches_of
from afterglow_collector.verdict import last_words_of, problem_of, title_of, verdict_of
from afterglow_collector.words import printable

MARGIN = 2
ASCII = str.maketrans("█▒░▄▂━╌●✗▶·⋯─│→–…\u00a0╳▁▃▅▆▇┤┄", "#=:__=-ox>.~-|>-~ X._=+*|.")  # noqa: RUF001 - glyph to look-alike


class _Page(NamedTuple):
    """Lines without blanks at their ends, in ASCII look-alikes where the console has nothing else."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for line in console.render_lines(self.content, options, pad=False):
            while line and not line[-1].text.strip():
                line.pop()
            for nth, (text, style, control) in enumerate(line, start=1):
                shown = text.rstrip() if nth == len(line) else text
                yield Segment(_ascii(shown) if options.ascii_only else _utf8(shown), style, control)
            yield Segment.line()


def _ascii(text: str) -> str:
    return text.translate(ASCII).encode("ascii", "replace").decode()


def _utf8(text: str) -> str:
    """Return the text without halves of surrogates, which a name can have and no stream takes."""
    return text.encode("utf-8", "replace").decode()


def render(document: dict[str, Any], console: Console, source_root: Path | None) -> None:
    """Print the report: what failed first, then what was left behind, then the pictures and the figures."""
    console.print(_Page(Group(*_parts(document, console.width, source_root))), highlight=False)


def _parts(document: dict[str, Any], columns: int, source_root: Path | None) -> list[RenderableType]:
    inner = columns - 2 * MARGIN
    parts: list[RenderableType] = [
        Text(),
        title_of(document),
        Text(),
        *problem_of(document),
        *ending_blocks(document, source_root, columns),
        *last_words_of(document),
        verdict_of(document),
    ]
    parts += lingering_blocks(document, source_root)
    parts += state_blocks(document, source_root)
    for title, content in (
        ("Timeline", _timeline(document, inner)),
        ("Init, module by module", module_blocks(document, inner, source_root)),
        ("Invocations", invocation_figures(document, inner) if document["invocations"] else []),
        ("Memory", [*memory_figures(document, inner), *memory_curves(document, inner)]),
        ("Limits", [Text(printable(line)) for line in document["run"]["limits"]]),
        ("What Afterglow took", cost_figures(document) if document["environments"] else []),
        ("Lost on the way", loss_figures(document)),
    ):
        if content:
            parts += [Text(), Rule(Text(title, "bold"), align="left", style="dim")]
            parts += [Padding(line, (0, MARGIN), expand=False) for line in content]
    return parts


def _timeline(document: dict[str, Any], columns: int) -> list[RenderableType]:
    bars, stretches = bars_of(document), stretches_of(document)
    lines: list[RenderableType] = list(draw(bars, stretches, columns))
    if lines:
        lines += [Text(" "), *legend(bars, stretches, columns)]
    missing = left_out(document)
    return [*lines, Text(missing, "dim")] if missing else lines
