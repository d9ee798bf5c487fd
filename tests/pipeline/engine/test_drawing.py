"""The picture of what a request costs."""

import os
import re
import shutil
from itertools import chain, combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import source
from voxflow.pipeline.engine import AskedFor, Explanation, Memory, NodeExplained

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
SVG = "{http://www.w3.org/2000/svg}"
RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")
ODD = '<b>"R&D"</b> 日本語 \x00\ue000'


@pytest.fixture(scope="module")
def told():
    image = np.zeros((30, 40), np.uint8)
    raw = source(RAW, image, (9.8, 4), interpolatable=True)
    labels = source(LABELS, image.astype(np.uint64), (9.8, 4), interpolatable=False).named(ODD)
    pipeline = (
        (raw + gp.Pad(RAW, (98, 40)) + gp.Normalize(RAW), labels)
        + gp.MergeProvider()
        + gp.Blur(RAW, sigma=(2.0, 2.0))
        + gp.Stack(3)
    )
    with gp.build(pipeline):
        yield pipeline.explain(
            gp.BatchRequest({key: gp.Roi((98, 40), (98, 40)) for key in (RAW, LABELS)})
        )


def boxes(picture):
    """Each box that is drawn: its name, its rectangle, and what is written in it."""
    for group in ElementTree.fromstring(picture).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect").attrib
        sides = [float(rect[name]) for name in ("x", "y", "width", "height")]
        yield group.get("data-node"), sides, [t.text for t in group.iter(f"{SVG}text")]


def apart(one, other):
    return any(
        a + size <= b or b + other_size <= a
        for a, size, b, other_size in zip(one[:2], one[2:], other[:2], other[2:], strict=True)
    )


def test_each_node_has_a_box_with_what_it_costs(told):
    drawn = {name: lines for name, _, lines in boxes(told._repr_svg_())}
    odd = ODD.replace("\x00\ue000", "\N{REPLACEMENT CHARACTER}" * 2)
    assert drawn.keys() == {
        "Stack",
        "Blur",
        "MergeProvider",
        "Normalize",
        "Pad",
        "ArraySource",
        odd,
    }
    assert drawn["ArraySource"] == [
        "ArraySource", "asked 3 times", "RAW", "676 B", "26 x 26 voxels",
        "at [19.6:274.4, 8:112] (254.8, 104)", "reads 1.98 KiB", "holds 0 B",
    ]  # fmt: skip
    assert "context +16 x +16" in drawn["MergeProvider"]
    assert drawn[odd][-2] == "reads 2.344 KiB"


def test_boxes_are_apart_and_arrows_lead_from_each_to_the_next(told):
    picture = told._repr_svg_()
    rects = {name: sides for name, sides, _ in boxes(picture)}
    assert all(apart(one, other) for one, other in combinations(rects.values(), 2))
    ways = re.findall(r'class="way" d="M([-\d.]+) ([-\d.]+) .* ([-\d.]+) ([-\d.]+)"', picture)
    middles = {name: round(x + width / 2, 1) for name, (x, _, width, _) in rects.items()}
    drawn = {(float(x), float(y), float(to_x)) for x, y, to_x, _ in ways}
    assert drawn == {
        (middles[a], round(rects[a][1] + rects[a][3], 1), middles[b])
        for a, b in [("Blur", "Stack"), ("MergeProvider", "Blur"), ("Normalize", "MergeProvider"),
                     (next(n for n in rects if "R&D" in n), "MergeProvider"), ("Pad", "Normalize"),
                     ("ArraySource", "Pad")]
    }  # fmt: skip


def test_the_node_that_holds_most_stands_out(told):
    groups = ElementTree.fromstring(told._repr_svg_()).iter(f"{SVG}g")
    most = [group.get("data-node") for group in groups if group.get("class") == "most"]
    assert most == [max(told.nodes, key=lambda node: node.held).label]


def trees(depth=0):
    """Nodes, downstream first, in trees of any shape."""
    name = st.text(max_size=12)
    if depth == 3:
        return name.map(lambda label: [(label, depth)])
    above = st.lists(trees(depth + 1), max_size=3)
    return st.builds(lambda label, parts: [(label, depth), *chain(*parts)], name, above)


@settings(max_examples=30)
@given(trees(), st.lists(st.sampled_from([None, gp.Roi((0, 0), (4, 4))]), max_size=2))
def test_any_tree_is_drawn(tree, rois):
    asked = tuple(AskedFor(POINTS, roi, None, None, None) for roi in rois)
    nodes = tuple(NodeExplained(label, depth, 1, asked, False) for label, depth in tree)
    picture = Explanation(nodes, 0, 0, Memory(0, tree[0][0]))._repr_svg_()
    found = list(boxes(picture))
    assert len(found) == len(tree)
    assert picture.count('class="way"') == len(tree) - 1
    assert all(apart(one[1], other[1]) for one, other in combinations(found, 2))


def test_files(told, tmp_path):
    assert told.save(tmp_path / "told.svg").read_text() == told._repr_svg_()
    page = told.save(str(tmp_path / "told.html"))
    assert page.read_text().startswith("<!doctype html>")
    assert told._repr_svg_() in page.read_text()
    with pytest.raises(ValueError, match=r"\.svg or \.html, got 'told\.png'"):
        told.save(tmp_path / "told.png")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_text_stays_in_its_box(told, tmp_path, scheme, suffix):
    playwright = pytest.importorskip("playwright.sync_api")
    file = told.save(tmp_path / f"told.{suffix}")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme)
        page.goto(file.as_uri())
        found = page.evaluate(
            """() => [...document.querySelectorAll("g")].map(g => {
                const sides = e => { const r = e.getBoundingClientRect();
                                     return [r.left, r.top, r.right, r.bottom]; };
                return [sides(g.querySelector("rect")), [...g.querySelectorAll("text")].map(sides)];
            })"""
        )
        paper = page.evaluate("() => getComputedStyle(document.querySelector('.paper')).fill")
        browser.close()
    assert len(found) == len(told.nodes)
    for (left, top, right, bottom), lines in found:
        for line in lines:
            assert left < line[0] < line[2] < right
            assert top < line[1] < line[3] < bottom
        rows = sorted(lines, key=lambda line: (round(line[1]), line[0]))
        for one, after in pairwise(rows):
            assert after[0] > one[2] or after[1] > one[1]  # two of a row do not overlap
    assert paper == ("rgb(246, 247, 249)" if scheme == "light" else "rgb(20, 23, 28)")
