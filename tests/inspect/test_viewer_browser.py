"""Neuroglancer in a browser: what is seen, at which place, and in which colours."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from voxflow.inspect import view
from voxflow.stores import Geometry, create_dataset

pytest.importorskip("neuroglancer")
from neuroglancer.segment_colors import hex_string_from_segment_id

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TOP = 2**63 + 5
WIDTH, HEIGHT = 400, 300


@pytest.fixture
def opened(browser_with_webgl):
    """Opens files; at the end, nothing may have been complained of or asked of others."""
    viewers, pages, said, asked = [], [], [], []

    def opened(paths, **options):
        viewers.append(view(paths, **options))
        page = browser_with_webgl.new_page(viewport={"width": 1200, "height": 800})
        page.on("console", lambda message: said.append((message.type, message.location["url"])))
        page.on("pageerror", lambda error: said.append(("error", str(error))))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(viewers[-1].url)
        page.wait_for_selector(".neuroglancer-layer-item")
        pages.append(page)
        return page, viewers[-1].viewer

    yield opened
    for page in pages:
        page.close()
    for viewer in viewers:
        viewer.close()
    wrong = [url for kind, url in said if kind == "error"]
    # Where we and the page change something at the same time, the page is told to try again.
    usual = re.compile(r"http://127\.0\.0\.1:\d+/(favicon\.ico|state/\w+)")
    assert [url for url in wrong if not usual.fullmatch(url)] == []
    here = re.compile(r"(http://127\.0\.0\.1:\d+/|blob:http://127\.0\.0\.1|data:)")
    assert asked
    assert [url for url in asked if not here.match(url)] == []


def only(viewer, *names, position=None):
    """Show some layers in one section, of which each pixel is a quarter of a world unit."""
    with viewer.txn() as state:
        for layer in state.layers:
            layer.visible = layer.name in names
        state.layout = "xy"
        state.show_axis_lines = state.show_scale_bar = state.show_default_annotations = False
        smallest = min(state.dimensions.scales)
        unit = 1e-9 if state.dimensions.units[0] else 1.0
        state.cross_section_scale = 0.25 * unit / smallest
        if position is not None:  # x, y and z, in world units
            sizes = state.dimensions.scales / unit
            state.position = [n / size for n, size in zip(position, sizes, strict=True)]
        world = state.position * state.dimensions.scales / unit
    return viewer.screenshot(size=[WIDTH, HEIGHT]).screenshot.image_pixels, world


def at(picture, x, y):
    """The pixel at a place of the world."""
    pixels, middle = picture
    column = WIDTH / 2 + (x - middle[0]) * 4
    row = HEIGHT / 2 + (y - middle[1]) * 4
    return pixels[int(row), int(column), :3].astype(int)


def near(pixel, expected):
    return np.abs(pixel - np.asarray(expected)).max() <= 2


def write(path, name, data, size, offset, units=None):
    where = Geometry(size, offset, units)
    create_dataset(path, name, data.shape, data.dtype, geometry=where).write((), data)
    return path


@pytest.fixture
def ramps(tmp_path):
    """An image whose value tells its place, and labels of other voxels in a part of it."""
    z, y, x = np.ogrid[:6, :8, :8]
    nm = ("nm",) * 3
    raw = (32 * z + 4 * y + x).astype("u1")
    path = write(tmp_path / "a.zarr", "raw", raw, (40, 8, 8), (80, 0, 4), nm)
    ids = np.zeros((6, 2, 4), np.uint64)
    ids[:, :, 2:] = TOP
    write(path, "labels", ids, (40, 16, 16), (80, 17, 5), nm)
    affinities = np.zeros((3, 6, 8, 8), np.float32)
    affinities[0, :, :4], affinities[1, :, :, :4], affinities[2] = 1, 1, 0.5
    return write(path, "affs", affinities, (40, 8, 8), (80, 0, 4), nm)


def test_all_layers_are_at_their_place_with_their_values(opened, ramps):
    _, viewer = opened(ramps)
    for section in (0, 3, 5):
        picture = only(viewer, "raw", position=(36, 32, 80 + 40 * section + 20))
        for y, x in ((0, 0), (3, 5), (7, 7)):
            value = 32 * section + 4 * y + x
            assert near(at(picture, 4 + 8 * x + 4, 8 * y + 4), [value] * 3), (section, y, x)
    picture = only(viewer, "raw", "labels", position=(36, 32, 180))
    colour = np.array([int(hex_string_from_segment_id(0, TOP)[i : i + 2], 16) for i in (1, 3, 5)])
    for y, x in ((16.5, 38), (18, 36), (18, 38), (48.5, 66), (30, 60)):
        row, column = int(y // 8), int((x - 4) // 8)
        value = 64 + 4 * row + column
        labelled = 17 <= y < 49 and 37 <= x < 69
        expected = 0.6 * value + 0.4 * colour if labelled else [value] * 3
        assert near(at(picture, x, y), expected), (y, x)


def test_affinities_are_red_green_and_blue(opened, ramps):
    _, viewer = opened(ramps)
    with viewer.txn() as state:
        state.layers["affs"].opacity = 1.0
    picture = only(viewer, "affs", position=(36, 32, 180))
    assert near(at(picture, 8, 4), [255, 255, 128])
    assert near(at(picture, 64, 4), [255, 0, 128])
    assert near(at(picture, 8, 60), [0, 255, 128])
    assert near(at(picture, 64, 60), [0, 0, 128])


def test_huge_ids_are_exact(opened, ramps):
    page, viewer = opened(ramps)
    only(viewer, "raw", "labels", position=(53, 33, 180))
    page.mouse.move(600, 425)
    page.wait_for_selector(f".neuroglancer-layer-item:has-text('{TOP}')")
    page.mouse.dblclick(600, 425)
    for _ in range(100):
        if viewer.state.layers["labels"].layer.segments:
            break
        page.wait_for_timeout(100)
    assert list(viewer.state.layers["labels"].layer.segments) == [TOP]


def test_a_surface_of_an_object(opened, tmp_path):
    z, y, x = np.ogrid[:30, :30, :30]
    ball = np.where((z - 15) ** 2 + (y - 15) ** 2 + (x - 15) ** 2 < 80, TOP, 0).astype(np.uint64)
    _, viewer = opened(write(tmp_path / "a.zarr", "labels", ball, (4, 4, 4), (0, 0, 0)))

    def seen():
        with viewer.txn() as state:
            state.layout = "3d"
            state.show_slices = state.show_default_annotations = state.show_axis_lines = False
        return viewer.screenshot(size=[WIDTH, HEIGHT]).screenshot.image_pixels[..., :3]

    assert seen().max() == 0
    with viewer.txn() as state:
        state.layers["labels"].layer.segments = [TOP]
    surface = seen().any(axis=-1)
    assert surface[HEIGHT // 2, WIDTH // 2]
    assert 0.01 < surface.mean() < 0.5


def test_two_dimensions_and_graphs(opened, tmp_path):
    y, x = np.ogrid[:16, :32]
    path = write(tmp_path / "a.zarr", "raw", (8 * x + 0 * y).astype("u1"), (2, 2), (10, 20))
    tables = {"ids": np.array([4, 5]), "locations": np.array([[16.0, 30], [34, 66]], np.float32)}
    tables["edges"] = np.array([[4, 5]])
    for part, data in tables.items():
        create_dataset(path, f"tree-{part}", data.shape, data.dtype).write((), data)
    _, viewer = opened(path)
    picture = only(viewer, "raw", "tree")
    assert near(at(picture, 41, 37), [80] * 3)
    for place in ((30, 16), (66, 34), (48, 25)):  # both nodes, and the middle of the edge
        assert near(at(picture, *place), [0, 220, 255]), place


def test_from_far_away_the_coarse_level_of_a_pyramid_is_read(opened, tmp_path, monkeypatch):
    from voxflow.inspect import volumes
    from voxflow.stores import open_attrs
    from voxflow.stores.ngff import make_multiscales

    path = tmp_path / "a.zarr"
    for name, side in (("s0", 512), ("s1", 128)):
        data = np.full((16, side, side), 255 if name == "s1" else 100, np.uint8)
        create_dataset(path, f"raw/{name}", data.shape, data.dtype).write((), data)
    levels = [("s0", (8, 1, 1), (0, 0, 0)), ("s1", (8, 4, 4), (0, 0, 0))]
    axes = [(name, "space", "nanometer") for name in "zyx"]
    open_attrs(path, "raw", mode="r+").update(make_multiscales(levels, axes, "0.4"))
    read = []
    get = volumes.OnDemand.__getitem__

    def counted(self, region):
        found = get(self, region)
        read.append((self.shape[-1], found.size))
        return found

    monkeypatch.setattr(volumes.OnDemand, "__getitem__", counted)
    _, viewer = opened(path)
    with viewer.txn() as state:
        state.layout = "xy"
        state.cross_section_scale = 8
    viewer.screenshot(size=[WIDTH, HEIGHT])
    read.clear()
    with viewer.txn() as state:
        state.position = [256, 256, 4]
    pixels = viewer.screenshot(size=[WIDTH, HEIGHT]).screenshot.image_pixels
    assert near(pixels[HEIGHT // 2 + 3, WIDTH // 2 + 3, :3].astype(int), [255] * 3)
    assert {side for side, _ in read} <= {128}
    with viewer.txn() as state:
        state.cross_section_scale = 1
    pixels = viewer.screenshot(size=[WIDTH, HEIGHT]).screenshot.image_pixels
    assert near(pixels[HEIGHT // 2 + 3, WIDTH // 2 + 3, :3].astype(int), [100] * 3)
    assert sum(size for side, size in read if side == 512) < 16 * 512**2


@pytest.mark.parametrize("name", ["fib25_train.hdf", "vnc_train.hdf"])
def test_real_volumes(opened, real_data, tmp_path, name):
    """Pictures are kept where VOXFLOW_SCREENSHOTS says."""
    folder = Path(os.environ.get("VOXFLOW_SCREENSHOTS", tmp_path))
    page, viewer = opened(real_data / name)
    viewer.screenshot()  # when all is there
    page.screenshot(path=folder / f"{name.partition('.')[0]}_neuroglancer.png")
    pixels = viewer.screenshot(size=[WIDTH, HEIGHT]).screenshot.image_pixels
    assert pixels[: HEIGHT // 2, : WIDTH // 2, :3].std() > 20
