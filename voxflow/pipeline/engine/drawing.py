"""What a request costs, as a picture: a box for each node, from the sources down to the batch."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voxflow.pipeline.engine.memory import format_size
from voxflow.pipeline.geometry.exact import format_exact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.pipeline.engine.explain import AskedFor, Explanation, NodeExplained

__all__ = ["draw", "save"]

# Pixels. The font is one in which all characters are as wide: so a box is known to be wide enough.
_COLUMN, _LINE = 7.4, 18
_PAD, _GAP, _BETWEEN, _MARGIN = 12, 34, 24, 20
_BAR = 4

_STYLE = """
.vf { --paper: #f6f7f9; --card: #ffffff; --ink: #1d2430; --soft: #5b6577; --line: #c9d0db;
  --accent: #2563c9; --warn: #9a5b00; --bar: #8a97ab; }
@media (prefers-color-scheme: dark) { .vf { --paper: #14171c; --card: #1c2027; --ink: #e3e7ee;
  --soft: #9aa6b8; --line: #3a4350; --accent: #6ea8ff; --warn: #ffc069; --bar: #66738a; } }
.vf text { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono",
  monospace; fill: var(--ink); white-space: pre; }
.vf .paper { fill: var(--paper); }
.vf .card { fill: var(--card); stroke: var(--line); }
.vf .most .card { stroke: var(--warn); stroke-width: 2; }
.vf .label { font-weight: 700; }
.vf .key { fill: var(--accent); font-weight: 700; }
.vf .soft { fill: var(--soft); }
.vf .context, .vf .most .held { fill: var(--warn); }
.vf .bar { fill: var(--bar); }
.vf .most .bar { fill: var(--warn); }
.vf .way { fill: none; stroke: var(--bar); stroke-width: 1.5; }
.vf .head { fill: var(--bar); }
"""


class _Text(NamedTuple):
    """A line, or the part of one at the right."""

    text: str
    kind: str = ""

    @property
    def width(self) -> float:
        return _COLUMN * _columns(self.text)


@dataclass
class _Box:
    """A node, with those upstream of it above, and where its upper left corner is."""

    node: NodeExplained
    lines: list[tuple[_Text, _Text]]
    upstream: list[_Box] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PAD

    @property
    def width(self) -> float:
        """As wide as its text."""
        return max(left.width + right.width for left, right in self.lines) + 2 * _PAD + 2 * _COLUMN

    def all(self) -> Iterator[_Box]:
        """This one and all above it."""
        yield self
        for box in self.upstream:
            yield from box.all()

    def place(self, x: float, bottom: float, width: float) -> float:
        """Place it and what is above it, from `x` on to the right; how wide that is."""
        self.y = bottom - self.height
        right = x
        for box in self.upstream:
            right += box.place(right, self.y - _GAP, width) + _BETWEEN
        wide = max(width, right - x - _BETWEEN)
        self.x = x + (wide - width) / 2
        return wide


def draw(told: Explanation) -> str:
    """Draw what a request costs.

    Parameters
    ----------
    told
        As `voxflow.Pipeline.explain` gives it.

    Returns
    -------
    str
        SVG, with colours for light and dark.
    """
    root = _tree(told.nodes)
    boxes = list(root.all())
    width = max(box.width for box in boxes)
    wide = root.place(_MARGIN, 0, width)
    top = min(box.y for box in boxes) - _MARGIN
    below = [_Text(line, "soft") for line in told.summary()]
    whole = max(wide, *(line.width for line in below)) + 2 * _MARGIN
    high = -top + _PAD + len(below) * _LINE + _MARGIN
    most = max(boxes, key=lambda box: box.node.held)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vf" role="img" width="{whole:.0f}" '
        f'height="{high:.0f}" viewBox="0 {top:.0f} {whole:.0f} {high:.0f}">',
        f"<title>What a request costs</title><style>{_STYLE}</style>",
        f'<rect class="paper" y="{top:.0f}" width="100%" height="100%"/>',
    ]
    for box in boxes:
        parts += [_arrow(above, box, width) for above in box.upstream]
    for box in boxes:
        parts += _drawn(box, width, box is most, most.node.held)
    parts += [
        _text(line, _MARGIN, _PAD + (i + 1) * _LINE, at_end=False) for i, line in enumerate(below)
    ]
    return "\n".join([*parts, "</svg>"])


def save(told: Explanation, path: str | Path) -> Path:
    """Write the picture to a file, ``.svg`` or ``.html``."""
    path = Path(path)
    if path.suffix not in (".svg", ".html"):
        raise ValueError(
            f"a picture of a pipeline is .svg or .html, got {path.name!r}; str() of it is text"
        )
    picture = draw(told)
    if path.suffix == ".html":
        picture = (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="color-scheme" content="light dark"><title>What a request costs</title>'
            '<body class="vf" style="margin: 0; background: var(--paper)">'
            f"{picture}</body></html>"
        )
    path.write_text(picture, encoding="utf-8")
    return path


def _tree(nodes: Sequence[NodeExplained]) -> _Box:
    """Boxes of nodes that come downstream first, each followed by those upstream of it."""
    way: list[_Box] = []
    for node in nodes:
        box = _Box(node, list(_lines(node)))
        del way[node.depth :]
        if way:
            way[-1].upstream.append(box)
        way.append(box)
    return way[0]


def _lines(node: NodeExplained) -> Iterator[tuple[_Text, _Text]]:
    """What a box says, and what of it is at the right."""
    often = f"asked {node.times} times" if node.times > 1 else ""
    yield _Text(node.label, "label"), _Text(often, "soft")
    for asked in node.asked:
        size = "" if asked.bytes is None else format_size(asked.bytes)
        yield _Text(str(asked.key), "key"), _Text(size)
        yield _Text(_voxels(asked)), _Text(_context(asked), "context")
        if asked.voxels is not None:
            yield _Text(f"at {asked.roi}", "soft"), _Text("")
    read = f"reads {format_size(node.read)}" if node.read else ""
    yield _Text(read), _Text(f"holds {format_size(node.held)}", "held")


def _voxels(asked: AskedFor) -> str:
    if asked.voxels is None:
        return "no place" if asked.roi is None else f"at {asked.roi}"
    return f"{' x '.join(map(format_exact, asked.voxels))} voxels"


def _context(asked: AskedFor) -> str:
    if asked.context is None or not any(asked.context):
        return ""
    return f"context {' x '.join(f'{n:+d}' for n in asked.context)}"


def _drawn(box: _Box, width: float, is_most: bool, most: int) -> Iterator[str]:
    yield (
        f'<g class="most" data-node="{_safe(box.node.label)}">'
        if is_most
        else (f'<g data-node="{_safe(box.node.label)}">')
    )
    yield (
        f'<rect class="card" x="{box.x:.1f}" y="{box.y:.1f}" width="{width:.1f}" '
        f'height="{box.height:.1f}" rx="8"/>'
    )
    for i, (left, right) in enumerate(box.lines):
        y = box.y + _PAD + (i + 1) * _LINE - 6
        yield _text(left, box.x + _PAD, y, at_end=False)
        yield _text(right, box.x + width - _PAD, y, at_end=True)
    part = (width - 2 * _PAD) * box.node.held / most if most else 0.0
    y = box.y + box.height - _PAD + 2
    yield f'<rect class="bar" x="{box.x + _PAD:.1f}" y="{y:.1f}" width="{part:.1f}" height="{_BAR}"'
    yield ' rx="2"/></g>'


def _text(line: _Text, x: float, y: float, *, at_end: bool) -> str:
    """A line of text, which is made as wide as it was planned, whatever the font."""
    if not line.text:
        return ""
    anchor = ' text-anchor="end"' if at_end else ""
    return (
        f'<text class="{line.kind}" x="{x:.1f}" y="{y:.1f}"{anchor} '
        f'textLength="{line.width:.1f}" lengthAdjust="spacingAndGlyphs">{_safe(line.text)}</text>'
    )


def _arrow(above: _Box, below: _Box, width: float) -> str:
    x, y = above.x + width / 2, above.y + above.height
    to_x, to_y = below.x + width / 2, below.y
    half = (to_y + y) / 2
    return (
        f'<path class="way" d="M{x:.1f} {y:.1f} C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} '
        f'{to_x:.1f} {to_y - 7:.1f}"/><path class="head" d="M{to_x:.1f} {to_y:.1f} l-5 -9 h10 z"/>'
    )


def _safe(text: str) -> str:
    """Text as it may be in a file of XML: what cannot be printed is no part of it."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _columns(text: str) -> int:
    """How many columns a text takes; characters of East Asia take two."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)
