"""Pages of what was measured say on what, and know the titles of their tables."""

from math import nan

import pytest

from benchmarks.harness.measure import Row
from benchmarks.harness.table import save
from benchmarks.page import main, page

USED = {"python": "3.12", "torch": "2.9", "voxflow": "0.1"}
DEVICE = USED | {"cuda": "13.0", "device": "a GPU"}


@pytest.mark.parametrize(
    ("package", "used", "said"),
    [
        ("suites", USED, ("Written by `make bench`", "voxflow 0.1.", "bare loop of torch")),
        ("gpu", DEVICE, ("`python -m benchmarks.gpu`", "torch 2.9, CUDA 13.0 on a GPU.", "fed by")),
    ],
)
def test_a_page_of_what_was_saved(tmp_path, monkeypatch, package, used, said):
    rows = [
        Row("a step", "bare loop", 0.041, 0.040, 0.98, goal=0.97, note="so it was"),
        Row("another", "", 2.0, nan, nan, unit="s"),
    ]
    save(tmp_path / "found.json", {"session": rows}, {"voxflow": used}, package)
    paths = [str(tmp_path / name) for name in ("found.json", "page.md")]
    monkeypatch.setattr("sys.argv", ["page", *paths])
    main()
    text = (tmp_path / "page.md").read_text()
    for part in (*said, "### session", "So it was.", "| a step | bare loop | 41.0 ms | 40.0 ms |"):
        assert part in text
    assert "| another |  | 2.00 s |  |  |  |  |" in text


def test_results_of_before_are_of_the_suites():
    machine = {"processor": "one", "processors": 2, "python": "3.12", "versions": {}}
    row = {"work": "a step", "baseline": "", "ours": 1.0, "theirs": None, "ratio": None}
    text = page({"date": "2026-01-01", "machine": machine, "tables": {"session": [row]}})
    assert "Written by `make bench` on 2026-01-01: one, 2 processors; Python 3.12." in text
    assert "| a step |" in text
