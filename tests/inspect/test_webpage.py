"""The page, without a browser."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

from voxflow.inspect import FileReport, write_page
from voxflow.inspect.webpage import choose_shown
from voxflow.stores import Geometry, StoreNotFound, create_dataset, open_attrs

EVIL = "</script><img src=x onerror=alert(1)><!-- &amp; @@SCRIPT@@"


def snapshot(path, seed=0, **root):
    noise = np.random.default_rng(seed).integers(0, 256, (4, 16, 16), np.uint8)
    where = Geometry((40, 4, 4), (0, 0, 0))
    create_dataset(path, "raw", noise.shape, noise.dtype, geometry=where).write((), noise)
    open_attrs(path, mode="r+").update(root)
    return path


class Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.open = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = dict(attrs).get("id", "code") if tag == "script" else None

    def handle_data(self, data):
        if self.open is not None:
            self.scripts[self.open] = self.scripts.get(self.open, "") + data

    @property
    def report(self):
        return json.loads(self.scripts["report"])


def parsed(paths, out, **options):
    return Parsed(write_page(paths, out, **options).read_text())


def test_a_page_holds_the_voxels_and_asks_for_nothing(tmp_path):
    snapshot(tmp_path / "1.zarr", loss=0.5, iteration=1)
    page = parsed(tmp_path / "1.zarr", tmp_path / "out" / "page.html")
    (file,) = page.report["files"]
    assert (file["loss"], file["iteration"]) == (0.5, 1)
    (array,) = file["layers"]
    assert array["shape"] == [4, 16, 16]
    packed = base64.b64decode(page.scripts[f"blob-{array['blob']}"])
    expected = np.random.default_rng(0).integers(0, 256, (4, 16, 16), np.uint8)
    assert zlib.decompress(packed) == expected.tobytes()
    text = (tmp_path / "out" / "page.html").read_text()
    assert "default-src 'none'" in text
    outside = set(re.findall(r"https?://[\w./]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not outside
    assert not any("src" in attrs or "href" in attrs for _, attrs in page.tags)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "page.html"]


def test_text_of_files_is_never_markup(tmp_path):
    plain = parsed(snapshot(tmp_path / "plain.zarr"), tmp_path / "plain.html")
    path = snapshot(tmp_path / "evil.zarr", note=EVIL, replay_token=EVIL, loss=EVIL)
    data = np.zeros((4, 4), np.uint8)
    create_dataset(path, "<b>name", data.shape, data.dtype, attrs={EVIL: EVIL}).write((), data)
    evil = parsed(path, tmp_path / "evil.html")
    extra = [tag for tag, _ in evil.tags].count("script") - 2  # a second array, and its ids
    assert [tag for tag, _ in evil.tags if tag != "script"] == [
        tag for tag, _ in plain.tags if tag != "script"
    ]
    assert extra == [tag for tag, _ in plain.tags].count("script")
    (file,) = evil.report["files"]
    assert file["attrs"]["note"] == EVIL
    assert file["token"] == EVIL
    assert {layer["name"] for layer in file["layers"]} == {"raw", "<b>name"}


def test_a_page_stays_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 200, 200), np.uint8)
    create_dataset(tmp_path / "a.zarr", "raw", noise.shape, noise.dtype).write((), noise)
    out = write_page(tmp_path / "a.zarr", tmp_path / "a.html", max_bytes=600_000)
    assert 150_000 < out.stat().st_size < 600_000
    (layer,) = Parsed(out.read_text()).report["files"][0]["layers"]
    assert max(layer["factors"]) > 1


def test_of_many_files_some_are_shown_and_the_loss_of_all_is_told(tmp_path):
    losses = [1.0, 0.9, 5.0, 0.7, 0.6, 0.5]
    for number, loss in enumerate(losses):
        snapshot(tmp_path / "snapshots" / f"{number}.zarr", number, loss=loss, iteration=number)
    report = parsed(tmp_path, tmp_path / "page.html", max_files=3).report
    assert report["shown"] == [0, 2, 5]
    assert [file["loss"] for file in report["files"]] == losses
    shown = [number for number, file in enumerate(report["files"]) if file["layers"]]
    assert shown == [0, 2, 5]


@pytest.mark.parametrize("most", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("worst", [0, 7, 18])
def test_the_choice_of_files(most, worst):
    reports = [FileReport(str(i), loss=float(i == worst), arrays=[None]) for i in range(19)]
    reports[4].error = "broken"
    chosen = choose_shown(reports, most)
    assert len(chosen) == min(most, 18)
    assert chosen == sorted(set(chosen))
    assert 4 not in chosen
    if most >= 3:
        assert {0, worst, 18} <= set(chosen)


def test_a_graph_and_damaged_files(tmp_path):
    path = snapshot(tmp_path / "1.zarr")
    tables = {
        "ids": np.array([2**40, 5, 7]),
        "locations": np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32),
        "edges": np.array([[7, 2**40]]),
    }
    for part, data in tables.items():
        create_dataset(path, f"points-{part}", data.shape, data.dtype).write((), data)
    (tmp_path / "2.hdf").write_bytes(b"junk")
    one, two = parsed([path, tmp_path / "2.hdf"], tmp_path / "page.html").report["files"]
    (graph,) = one["graphs"]
    assert graph["points"] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert graph["ids"] == [str(2**40), "5", "7"]
    assert graph["edges"] == [[2, 0]]
    assert "is not an HDF5 file" in two["error"]


def test_nothing_to_show_is_said(tmp_path):
    with pytest.raises(StoreNotFound, match="no file or folder"):
        write_page(tmp_path / "none.zarr", tmp_path / "page.html")
    with pytest.raises(StoreNotFound, match="nothing to show"):
        write_page([], tmp_path / "page.html")


def test_texts_and_many_files_leave_room_for_little_but_the_page_stays_small(tmp_path):
    for number in range(12):
        snapshot(tmp_path / f"{number:02}.zarr", number, loss=1.0, note="x" * 1500)
    out = write_page(tmp_path, tmp_path / "page.html", max_files=3, max_bytes=80_000)
    assert out.stat().st_size < 80_000
    report = Parsed(out.read_text()).report
    with_attrs = [number for number, file in enumerate(report["files"]) if file["attrs"]]
    assert with_attrs == report["shown"]
    assert len(with_attrs) == 3
