"""Draw the ratios of benchmarks: ``python -m benchmarks.picture [FROM.json] [TO.svg]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .harness.environments import FOLDER

PICTURE = Path(__file__).parents[1] / "docs/figures/benchmarks.svg"
SUITES = {
    "batches": "CREMI batch",
    "workers": "CREMI batch, 2 workers",
    "patches": "elastic and rotated",
    "peers": "elastic, flips, intensity",
    "labels": "",
    "scan": "scan",
    "chain": "idle node",
    "handover": "",
}
_COLOURS = {
    "gunpowder": "#7fb0e0",
    "gunpowder, tuned (subsample 8)": "#1f5fa8",
    "another library": "#d08030",
}


def draw(results: dict[str, Any]) -> Figure:
    """Bars of how many times as long another library takes for the same work."""
    bars = [
        (_label(suite, row), row["ratio"], _kind(suite, row["baseline"]))
        for suite in SUITES
        for row in results["tables"].get(suite, [])
        if _belongs(suite, row)
    ]
    figure = Figure(figsize=(9, 0.8 + 0.2 * len(bars)), layout="constrained")
    axes = figure.subplots()
    seen = set[str]()
    for place, (_, ratio, kind) in enumerate(bars):
        label = None if kind in seen else kind
        seen.add(kind)
        axes.barh(place, ratio, color=_COLOURS[kind], label=label)
        axes.text(ratio * 1.05, place, f"{ratio:.0f}x", va="center", fontsize=7)
    axes.set_yticks(range(len(bars)), [label for label, *_ in bars], fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(1, 2 * max((ratio for _, ratio, _ in bars), default=1))
    axes.set_xlabel("times as long as voxflow, for the same work")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.01)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _belongs(suite: str, row: dict[str, Any]) -> bool:
    """Only beside other libraries at work, and of many sizes only the largest."""
    alone = any(word in row["baseline"] for word in ("memcpy", "voxflow", "loop", "one worker"))
    return not alone and (suite != "labels" or "64x256x256" in row["work"])


def _label(suite: str, row: dict[str, Any]) -> str:
    parts = [SUITES[suite], row["work"]]
    if suite in ("peers", "patches", "scan"):
        parts.append("beside " + row["baseline"].removesuffix(", subsample 8"))
    return ", ".join(part for part in parts if part)


def _kind(suite: str, baseline: str) -> str:
    if suite == "peers" or (suite == "scan" and baseline != "gunpowder"):
        return "another library"
    tuned = "tuned" in baseline or "subsample" in baseline
    return "gunpowder, tuned (subsample 8)" if tuned else "gunpowder"


def main() -> None:
    """Read, draw, write."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "results.json"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE
    with mpl.rc_context({"svg.hashsalt": "voxflow", "svg.fonttype": "none"}):
        figure = draw(json.loads(source.read_text()))
        figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
    print(f"written to {target}")


if __name__ == "__main__":
    main()
