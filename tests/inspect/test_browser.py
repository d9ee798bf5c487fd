"""The page in a browser: what is seen, and what moves it."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest

import voxflow as gp
from voxflow.inspect import write_page
from voxflow.pictures import colours_of_ids
from voxflow.stores import Geometry, create_dataset, open_attrs, open_dataset
from voxflow.training.covered import Branch, Covered, SourceMap

image = pytest.importorskip("PIL.Image")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TOP = 2**63 + 5


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of files; at the end, nothing may have been complained of or asked for."""
    said, asked, pages = [], [], []

    def opened(paths, scheme="light"):
        file = write_page(paths, tmp_path / "page.html")
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1400, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("body[data-ready]")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert said == []
    assert all(url.startswith("file://") and url.endswith("page.html") for url in asked)


def pixels(page, panel="yx", view=0):
    """What is drawn in a panel: red, green, blue and opacity."""
    page.wait_for_timeout(150)  # two frames
    png = page.evaluate(
        "([panel, view]) => document.querySelectorAll"
        "(`canvas.picture[data-panel=${panel}]`)[view].toDataURL('image/png')",
        [panel, view],
    )
    return picture(png)


def picture(url):
    """The pixels of a PNG as a data URL."""
    return np.asarray(image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def look(page, name, **settings):
    """Set how an array is drawn."""
    page.evaluate(
        "([name, settings]) => { Object.assign(state.looks[name], settings); redraw(); }",
        [name, settings],
    )


def at(picture, row, rows, column, columns):
    """The middle of a voxel."""
    height, width = picture.shape[:2]
    return picture[int((row + 0.5) * height / rows), int((column + 0.5) * width / columns)]


def write(path, name, data, size, offset):
    where = Geometry(size, offset)
    create_dataset(path, name, data.shape, data.dtype, geometry=where).write((), data)
    return path


@pytest.fixture
def ramps(tmp_path):
    """An image whose value tells its place, and labels with larger voxels in a part of it."""
    z, y, x = np.ogrid[:6, :8, :8]
    path = write(
        tmp_path / "a.zarr", "raw", (32 * z + 4 * y + x).astype("u1"), (40, 8, 8), (80, 0, 0)
    )
    ids = np.zeros((6, 2, 4), np.uint64)
    ids[:, :, 2:] = TOP
    return write(path, "labels", ids, (40, 16, 16), (80, 16, 0))


def slide(page, axis, value):
    page.locator(f"#slider-{axis}").fill(str(value))


def test_the_slider_moves_all_arrays_and_values_are_those_of_the_file(opened, ramps):
    page = opened(ramps)
    page.evaluate(
        "state.looks.raw.low = 0; state.looks.raw.high = 255; state.looks.labels.on = false"
    )
    for z in (0, 3, 5):
        slide(page, "z", z)
        picture = pixels(page)
        for y, x in ((0, 0), (3, 5), (7, 7)):
            assert (at(picture, y, 8, x, 8) == (32 * z + 4 * y + x,) * 3 + (255,)).all()
    slide(page, "x", 6)
    picture = pixels(page, "yz")  # z is horizontal there
    assert at(picture, 2, 8, 4, 6)[0] == 32 * 4 + 4 * 2 + 6
    slide(page, "y", 1)
    picture = pixels(page, "zx")
    assert at(picture, 4, 6, 7, 8)[0] == 32 * 4 + 4 + 7
    assert page.locator("#at-y").text_content() == "1 of 8, world 12"


def test_labels_lie_over_the_image_at_their_place(opened, ramps):
    page = opened(ramps)
    look(page, "raw", low=0, high=255)
    look(page, "labels", opacity=1)
    slide(page, "z", 2)
    picture = pixels(page)
    colour = colours_of_ids(np.array([TOP], np.uint64))[0]
    for y in range(8):
        for x in range(8):
            seen = at(picture, y, 8, x, 8)[:3]
            labelled = 2 <= y < 6 and x >= 4
            expected = colour if labelled else (64 + 4 * y + x,) * 3
            assert (seen == expected).all(), (y, x)
    page.keyboard.press("Space")
    assert (at(pixels(page), 3, 8, 5, 8)[:3] == 64 + 4 * 3 + 5).all()


def test_huge_ids_are_exact(opened, ramps):
    page = opened(ramps)
    card = page.locator(".card[data-layer=labels]")
    assert card.locator(".ids button").all_text_contents() == [str(TOP)]
    slide(page, "x", 6)
    slide(page, "y", 3)
    assert card.locator(".value").text_content().strip() == str(TOP)
    slide(page, "x", 1)
    assert card.locator(".value").text_content().strip() == "0"
    before = pixels(page)
    card.locator(".ids button").click()  # goes there
    assert card.locator(".value").text_content().strip() == str(TOP)
    page.keyboard.press("Escape")
    assert pixels(page).shape == before.shape


def test_mouse_and_keys(opened, ramps):
    page = opened(ramps)
    panel = page.locator(".panel[aria-label='section yx'] .marks")
    box = panel.bounding_box()

    def place(axis):
        return page.locator(f"#slider-{axis}").input_value()

    page.mouse.click(box["x"] + box["width"] * 6.5 / 8, box["y"] + box["height"] * 2.5 / 8)
    assert (place("x"), place("y")) == ("6", "2")
    page.mouse.wheel(0, 100)
    page.wait_for_timeout(100)
    assert place("z") == "4"
    for key, expected in (
        (",", "3"),
        (".", "4"),
        ("Home", "0"),
        ("PageUp", "5"),
        ("ArrowDown", "4"),
    ):
        page.keyboard.press(key)
        assert place("z") == expected, key
    before = pixels(page)
    page.keyboard.press("+")
    assert (pixels(page) != before).any()
    page.keyboard.press("0")
    assert place("z") == "3"
    page.keyboard.press("2")
    assert not page.locator(".card[data-layer=labels] input[type=checkbox]").is_checked()
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    assert page.locator(".ortho").count() == 2


def test_affinities_channels_and_contrast(opened, tmp_path):
    path = write(tmp_path / "a.zarr", "raw", np.full((8, 8), 100, np.uint8), (4, 4), (0, 0))
    affinities = np.zeros((3, 8, 8), np.float32)
    affinities[0, :4], affinities[1, :, :4], affinities[2] = 1, 1, 0.5
    page = opened(write(path, "affs", affinities, (4, 4), (0, 0)))
    look(page, "affs", opacity=1)
    picture = pixels(page)
    assert at(picture, 0, 8, 0, 8).tolist() == [255, 255, 128, 255]
    assert at(picture, 7, 8, 7, 8).tolist() == [0, 0, 128, 255]
    page.locator(".card[data-layer=affs] select").select_option("1")
    picture = pixels(page)
    assert at(picture, 7, 8, 0, 8).tolist() == [255, 255, 255, 255]
    assert at(picture, 0, 8, 7, 8).tolist() == [0, 0, 0, 255]
    canvas = page.locator(".card[data-layer=raw] canvas")
    box = canvas.bounding_box()
    page.evaluate(
        "state.looks.affs.on = false; state.looks.raw.low = 0; state.looks.raw.high = 255"
    )
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 12 + (box["width"] - 24) * 200 / 255, box["y"] + 20)
    page.mouse.up()
    assert abs(int(at(pixels(page), 2, 8, 2, 8)[0]) - 128) <= 2


def bars(page, name):
    """How wide bars are, in pixels, in the lowest row of a histogram, and what is told below."""
    card = page.locator(f".card[data-layer={name}]")
    seen = picture(card.locator("canvas").evaluate("canvas => canvas.toDataURL('image/png')"))
    edges = np.flatnonzero(np.diff([0, *(seen[-1, :, 3] > 200), 0]))
    return (edges[1::2] - edges[::2]).tolist(), card.locator(".shares").text_content()


def test_few_values_have_bars_that_are_seen(opened, tmp_path):
    affinities = np.zeros((3, 4, 10, 10), np.float32)
    affinities[0, 0], affinities[1] = 1, 1
    path = write(tmp_path / "a.zarr", "affs", affinities, (4, 4, 4), (0, 0, 0))
    three = np.repeat([-1, 0, 0, 1], 100).reshape(4, 10, 10).astype(np.float32)
    write(path, "three", three, (4, 4, 4), (0, 0, 0))
    many = np.arange(400).reshape(4, 10, 10).astype(np.uint16)
    page = opened(write(path, "many", many, (4, 4, 4), (0, 0, 0)))
    page.evaluate("for (const look of Object.values(state.looks)) look.on = true; paintCards()")
    widths, told = bars(page, "affs")
    assert len(widths) == 2
    assert min(widths) >= 18
    assert told == "≈ 0: 58.3%, ≈ 1: 41.7%"
    page.locator(".card[data-layer=affs] select").select_option("0")
    assert bars(page, "affs")[1] == "≈ 0: 75%, ≈ 1: 25%"
    widths, told = bars(page, "three")
    assert len(widths) == 3
    assert told == "≈ -1: 25%, ≈ 0: 50%, ≈ 1: 25%"
    assert bars(page, "many")[1] == ""


@pytest.fixture
def run(tmp_path):
    """Snapshots that lie at different places, one of them of a high loss."""
    for number, loss in enumerate((2.0, 9.0, 1.0)):
        data = np.full((4, 8, 8), 50 * number, np.uint8)
        data[:, 0] = 255
        path = tmp_path / "snapshots" / f"{number}.zarr"
        write(path, "raw", data, (40, 8, 8), (0, 1000 * number, 0))
        token = {"seed": 2**60 + number, "arrays": {}, "graphs": {}, "run": [1, number]}
        root = {"loss": loss, "iteration": number, "replay_token": str(token).replace("'", '"')}
        open_attrs(path, mode="r+").update(root)
    return tmp_path


def test_the_highest_loss_is_a_click_away(opened, run):
    page = opened(run)
    assert page.locator("#loss").text_content() == "iteration 0, loss 2"
    page.locator("#worst").click()
    page.wait_for_selector("#loss:has-text('iteration 1, loss 9')")
    assert page.locator("#file-a").input_value() == "1"
    page.locator("summary", has_text="How this batch was made").click()
    assert str(2**60 + 1) in page.locator("details[open]").text_content()
    page.locator("circle[data-file='2']").click()
    page.wait_for_selector("#loss:has-text('iteration 2, loss 1')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#loss:has-text('iteration 1, loss 9')")


def test_two_files_side_by_side(opened, run):
    page = opened(run)
    page.evaluate(
        "for (const look of Object.values(state.looks)) { look.low = 0; look.high = 255; }"
    )
    page.locator("#file-b").select_option("2")
    page.locator(".ortho").nth(1).wait_for()
    assert "lies elsewhere" in page.locator(".ortho").nth(1).text_content()
    left, right = pixels(page, view=0), pixels(page, view=1)
    assert (at(left, 0, 8, 3, 8)[0], at(left, 5, 8, 3, 8)[0]) == (255, 0)
    assert (at(right, 0, 8, 3, 8)[0], at(right, 5, 8, 3, 8)[0]) == (255, 100)


def test_points_are_drawn_where_they_are(opened, tmp_path):
    path = write(tmp_path / "1.zarr", "raw", np.zeros((5, 8, 8), np.uint8), (10, 10, 10), (0, 0, 0))
    tables = {"ids": np.array([4]), "locations": np.array([[25.0, 15.0, 65.0]], np.float32)}
    for part, data in tables.items():
        create_dataset(path, f"points-{part}", data.shape, data.dtype).write((), data)
    page = opened(path)
    picture = page.evaluate(
        """() => { const canvas = document.querySelector(".marks");
        return Array.from(canvas.getContext("2d").getImageData(
            canvas.width * 65 / 80, canvas.height * 15 / 80, 1, 1).data); }"""
    )
    assert picture == [0, 220, 255, 255]


def test_light_and_dark(opened, ramps):
    papers = []
    for scheme in ("light", "dark"):
        page = opened(ramps, scheme)
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(246, 247, 249)", "rgb(20, 23, 28)"]


def test_a_page_of_what_cannot_be_read(opened, tmp_path):
    (tmp_path / "a.hdf").write_bytes(b"junk")
    page = opened(tmp_path / "a.hdf")
    assert "cannot be read" in page.locator("#views").text_content()
    assert "is not an HDF5 file" in page.locator("#facts").text_content()


def test_text_of_files_runs_nothing(opened, tmp_path):
    evil = "</script><img src=x onerror='document.title=1'>"
    path = write(tmp_path / "a.zarr", "raw", np.zeros((4, 4), np.uint8), (1, 1), (0, 0))
    open_attrs(path, mode="r+").update(note=evil)
    page = opened(path)
    page.locator("summary", has_text="Attributes").click()
    assert evil in page.locator("#facts").text_content()
    assert page.locator("img").count() == 0
    assert page.title() == "a.zarr"


def test_a_snapshot_of_a_pipeline(opened, tmp_path):
    """Labels of the same place have the value of the image."""
    raw, labels = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
    whole = gp.Roi((0, 0, 0), (400, 80, 80))
    values = np.arange(4000).reshape(10, 20, 20).astype(np.uint8)
    place = gp.ArraySpec(whole, voxel_size=(40, 4, 4))
    pipeline = (
        (
            gp.ArraySource(raw, gp.Array(values, place)),
            gp.ArraySource(labels, gp.Array(values.astype(np.uint64), place)),
        )
        + gp.MergeProvider()
        + gp.RandomLocation()
        + gp.SimpleAugment(transpose_only=[1, 2])
        + gp.Snapshot({raw: "raw", labels: "labels"}, tmp_path / "s", "{id}.zarr")
    )
    request = gp.BatchRequest()
    request.add(raw, (240, 48, 48))
    request.add(labels, (160, 32, 32))
    with gp.build(pipeline, seed=2):
        pipeline.request_batch(request)
    page = opened(tmp_path / "s")
    for z in range(1, 5):
        slide(page, "z", z)
        values = page.locator(".card .value").all_text_contents()
        assert values[0].strip() == values[1].strip()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["fib25_train.hdf", "vnc_train.hdf", "gala_train.hdf"])
def test_real_volumes(opened, real_data, tmp_path, scheme, name):
    """Pictures of the page are kept where VOXFLOW_SCREENSHOTS says."""
    folder = Path(os.environ.get("VOXFLOW_SCREENSHOTS", tmp_path))
    page = opened(real_data / name, scheme)
    assert (tmp_path / "page.html").stat().st_size < 5_000_000
    seen = pixels(page)
    assert (seen[..., 3] == 255).mean() > 0.99
    assert seen[..., :3].std() > 20
    page.screenshot(path=folder / f"{name.partition('.')[0]}_{scheme}.png")
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    page.screenshot(path=folder / f"{name.partition('.')[0]}_{scheme}_each.png")


def part():
    """Of FIB-SEM data where they are, else of what looks alike: an image, and objects in it."""
    file = Path(os.environ.get("VOXFLOW_DATA", "")) / "fib25_train.hdf"
    if file.is_file():
        names, where = ("volumes/raw", "volumes/labels/neuron_ids"), (slice(20, 60),) * 3
        return [open_dataset(file, name).read(where) for name in names]
    z, y, x = np.indices((40, 40, 40)) // 8
    ids = (1 + x + 5 * y + 25 * z).astype(np.uint64)
    return [(ids * 37 % 251).astype(np.uint8), ids]


def kinds(folder):
    """Files in two dimensions, with channels, and with ids that no other number can hold."""
    raw, ids = part()
    huge = np.where(ids > 0, ids + np.uint64(2**63), ids)
    edges = [ids == np.roll(ids, 1, axis) for axis in range(3)]
    colours = np.stack([raw, np.roll(raw, 8, 1), 255 - raw])
    files = {
        "2d": {"raw": raw[20], "labels": ids[20]},
        "channels": {"raw": colours, "affinities": np.stack(edges).astype(np.float32)},
        "huge": {"raw": raw, "labels": huge},
    }
    for name, arrays in files.items():
        for array, data in arrays.items():
            where = Geometry((10,) * (2 if name == "2d" else 3), (0,) * (2 if name == "2d" else 3))
            path, shape = folder / f"{name}.zarr", data.shape
            create_dataset(path, array, shape, data.dtype, geometry=where).write((), data)
    return huge


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_dimensions_channels_and_huge_ids_of_real_data(opened, tmp_path, scheme):
    """Pictures are kept as of `test_real_volumes`."""
    folder = Path(os.environ.get("VOXFLOW_SCREENSHOTS", tmp_path))
    huge = kinds(tmp_path)
    for name in ("2d", "channels", "huge"):
        page = opened(tmp_path / f"{name}.zarr", scheme)
        assert pixels(page)[..., :3].std() > 20
        page.screenshot(path=folder / f"{name}_{scheme}.png")
    values = page.locator(".card .value").all_text_contents()
    assert str(huge[20, 20, 20]) in [value.strip() for value in values]
    look(page, "labels", opacity=1)
    seen = pixels(page)
    row, column = (round(n * 20.3 / 40) for n in seen.shape[:2])  # beside the cross
    expected = colours_of_ids(huge[20, 20, 20:21])[0]
    assert np.abs(seen[row, column, :3].astype(int) - expected[:3]).max() <= 2


def looked(folder):
    """The coverage of a run, of two sources."""
    begin, end = np.array([[0.0, 0, 0]]), np.array([[40.0, 20, 30]])
    maps = []
    for name in ("A", "B<img src=x onerror=alert(1)>"):
        of = SourceMap.of(
            *(name, "RAW", (0.0, 0, 0), (80.0, 40, 60)),
            name=name,
            voxel_size=(20, 10, 15),
            cells=1000,
        )
        of.add(begin, end)
        maps.append(of)
    counts = np.zeros(257, np.int64)
    counts[[0, 256]] = 3, 1
    branches = [Branch("RandomProvider", i, [of.source], 0.5) for i, of in enumerate(maps)]
    Covered(maps, branches, {"LABELS": counts}, 7).write(folder / "coverage.npz")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_the_training_has_looked_is_a_picture_and_tables(opened, tmp_path, scheme):
    pytest.importorskip("matplotlib")
    data = np.zeros((4, 4), np.uint8)
    create_dataset(tmp_path / "run/snapshots/step-1.zarr", "raw", data.shape, data.dtype)
    looked(tmp_path / "run")
    page = opened(tmp_path / "run", scheme)
    page.click("#looked-button")
    body = page.locator("#looked-body")
    assert body.locator("img").evaluate("image => image.naturalWidth") > 800
    assert body.locator("img").count() == 1  # no name has become one
    text = body.inner_text()
    assert "7 steps" in text
    assert "87.5 %" in text  # never read
    halves = ("40:80, 0:40, 0:60", "0:80, 20:40, 0:60", "0:80, 0:40, 30:60")
    assert any(half in text for half in halves)  # the largest box
    assert "75.00 %" in text
    page.keyboard.press("a")  # keys of the page beneath are not meant
    page.keyboard.press("Escape")
    assert not page.locator("#looked").evaluate("dialog => dialog.open")
    assert page.get_attribute("#mode-each", "aria-pressed") == "false"


def test_a_page_without_coverage_has_no_button_for_it(opened, tmp_path):
    create_dataset(tmp_path / "a.zarr", "raw", (4, 4), np.uint8)
    assert not opened(tmp_path / "a.zarr").locator("#looked-button").is_visible()


def test_what_each_node_drew_stands_beside_a_trace_and_the_snapshot_of_its_batch(opened, tmp_path):
    raw = gp.ArrayKey("RAW")
    image = np.random.default_rng(0).random((20, 20), dtype=np.float32)
    pipeline = (
        gp.ArraySource(raw, image, spec=gp.ArraySpec(voxel_size=(4, 4)))
        + gp.RandomLocation()
        + gp.IntensityAugment(raw, 0.5, 1.5, 0, 0)
        + gp.Snapshot({raw: "raw"}, tmp_path / "snapshots", "{id}.zarr")
    )
    request = gp.BatchRequest()
    request.add(raw, (40, 40))
    with gp.build(pipeline, seed=1):
        batches = [pipeline.request_batch(request) for _ in range(2)]
        trace = pipeline.trace(batches[1].token, tmp_path / "trace")
    page = opened([tmp_path / "trace", tmp_path / "snapshots"])
    page.locator("#file-a").select_option("1")
    rows = page.locator("#nodes tr")
    assert rows.locator("button").all_inner_texts() == [visit.node for visit in trace]
    assert "drew nothing" in rows.nth(0).inner_text()
    scale = f"{np.ravel(trace['IntensityAugment'].draws[0])[0]:.6f}"
    assert scale[:5] in rows.nth(2).inner_text()
    assert rows.locator("button[aria-current]").inner_text() == "RandomLocation"
    rows.nth(2).locator("button").click()
    page.wait_for_function("state.file === 2")
    assert page.locator("#nodes button[aria-current]").inner_text() == "IntensityAugment"
    last = len(trace) + 1  # the second snapshot
    page.locator("#file-a").select_option(str(last))
    page.wait_for_function(f"state.file === {last}")
    assert rows.count() == len(trace)
    page.locator("#file-a").select_option(str(last - 1))
    page.wait_for_function(f"state.file === {last - 1}")
    assert rows.count() == 0  # of another batch
