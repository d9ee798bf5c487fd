import sys
from types import ModuleType

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, specs

RAW = gp.ArrayKey("RAW")


@pytest.fixture
def klb(monkeypatch, tmp_path):
    """What pyklb offers, for files that are in memory."""
    module = ModuleType("pyklb")
    module.files, module.threads = {}, set()

    def add(name, data, spacing=(1, 1, 4, 2, 0.5)):
        path = tmp_path / name
        path.touch()
        module.files[str(path)] = data.reshape((1,) * (5 - data.ndim) + data.shape), spacing

    def readheader(path):
        data, spacing = module.files[path]
        return {
            "imagesize_tczyx": np.array(data.shape, np.uint32),
            "pixelspacing_tczyx": np.array(spacing, np.float32),
            "datatype": data.dtype,
        }

    def readroi(path, tczyx_min, tczyx_max, numthreads=1):
        module.threads.add(numthreads)
        last = [slice(int(a), int(b) + 1) for a, b in zip(tczyx_min, tczyx_max, strict=True)]
        found = module.files[path][0][tuple(last)]
        while found.ndim > 1 and found.shape[0] == 1:
            found = found[0]
        return found

    module.add, module.readheader, module.readroi = add, readheader, readroi
    monkeypatch.setitem(sys.modules, "pyklb", module)
    return module


def volume(*shape, dtype=np.uint8):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_one_file(klb, tmp_path):
    data = volume(4, 5, 6)
    klb.add("a.klb", data)
    source = gp.KlbSource(tmp_path / "a.klb", RAW, num_threads=3)
    with specs(source) as spec:
        assert spec[RAW] == gp.ArraySpec(
            gp.Roi((0, 0, 0), (16, 10, 3)), (4, 2, 0.5), True, dtype=np.uint8
        )
    for begin, end in (((0, 0, 0), (4, 5, 6)), ((1, 2, 3), (2, 4, 6)), ((3, 4, 5), (4, 5, 6))):
        size = gp.Coordinate(4, 2, 0.5)
        roi = gp.Roi(gp.Coordinate(begin) * size, gp.Coordinate(np.subtract(end, begin)) * size)
        where = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
        np.testing.assert_array_equal(served(source, asking(RAW=roi))[RAW].data, data[where])
    assert klb.threads == {3}


def test_times_and_channels_are_axes(klb, tmp_path):
    data = volume(2, 1, 3, 4, 5, dtype=np.uint16)
    klb.add("a.klb", data, (3, 1, 1, 1, 1))
    source = gp.KlbSource(str(tmp_path / "a.klb"), RAW)
    roi = gp.Roi((3, 0, 1, 1, 2), (3, 1, 2, 2, 3))
    np.testing.assert_array_equal(
        served(source, asking(RAW=roi))[RAW].data, data[1:2, :, 1:3, 1:3, 2:5]
    )


def test_many_files(klb, tmp_path):
    for number in range(3):
        klb.add(f"t{number}.klb", volume(2, 2, 2) + number * 10)
    source = gp.KlbSource(tmp_path / "t*.klb", RAW)
    with specs(source) as spec:
        assert spec[RAW].roi == gp.Roi((0, 0, 0, 0), (3, 8, 4, 1))
    data = served(source, asking(RAW=((1, 4, 0, 0), (2, 4, 4, 0.5))))[RAW].data
    assert data.tolist() == [[[[14], [16]]], [[[24], [26]]]]


def test_the_spec_wins(klb, tmp_path):
    klb.add("a.klb", volume(2, 2, 2))
    own = gp.ArraySpec(gp.Roi((10, 0, 0), (2, 2, 2)), (1, 1, 1), interpolatable=False)
    data = served(gp.KlbSource(tmp_path / "a.klb", RAW, own), asking(RAW=((11, 0, 0), (1, 2, 2))))
    assert data[RAW].data.tolist() == [[[4, 5], [6, 7]]]
    assert data[RAW].spec.interpolatable is False


def test_mistakes(klb, tmp_path):
    klb.add("a.klb", volume(2, 2, 2))
    klb.add("b.klb", volume(2, 2, 3))
    for source, error, text in (
        (gp.KlbSource(tmp_path / "*.klb", RAW), ValueError, "imagesize_tczyx of .*b.klb"),
        (gp.KlbSource(tmp_path / "c.klb", RAW), FileNotFoundError, "c.klb"),
        (
            gp.KlbSource(tmp_path / "a.klb", RAW, gp.ArraySpec(dtype="uint16")),
            ValueError,
            "AsType",
        ),
        (
            gp.KlbSource(tmp_path / "a.klb", RAW, gp.ArraySpec(gp.Roi((0, 0, 0), (2, 2, 2)))),
            ValueError,
            "cover",
        ),
    ):
        with pytest.raises(error, match=text), gp.build(source):
            pass
    with pytest.raises(TypeError, match="ArrayKey"):
        gp.KlbSource(tmp_path / "a.klb", gp.GraphKey("points"))


def test_without_pyklb(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyklb", None)
    source = gp.KlbSource("a.klb", RAW)
    with (
        pytest.raises(ImportError, match="package pyklb, which is not installed"),
        gp.build(source),
    ):
        pass
