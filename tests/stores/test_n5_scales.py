import json

import numpy as np
import pytest

import voxflow as gp
from tests.stores.servers import http_server
from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    MetadataMissing,
    create_dataset,
    list_levels,
    open_dataset,
    read_geometry,
)

SIZES = [Coordinate(50, 4.6, 9.8), Coordinate(50, 13.8, 19.6), Coordinate(100, 41.4, 39.2)]
FACTORS = [[1, 1, 1], [2, 3, 1], [4, 9, 2]]  # x first
SIZE = [9.8, 4.6, 50]


def describe(file, attrs):
    file.parent.mkdir(parents=True, exist_ok=True)
    stored = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(stored | attrs))


def viewer(level):
    """n5-viewer's and BigStitcher's way: the finest size and the factors, in every level."""
    pixels = {"pixelResolution": {"dimensions": SIZE, "unit": "nm"}}
    return pixels if level == 0 else pixels | {"downsamplingFactors": FACTORS[level]}


def cosem(level):
    size = [float(n) for n in SIZES[level]]
    offset = [float(n) for n in (SIZES[level] - SIZES[0]) / 2]
    transform = {"axes": ["z", "y", "x"], "scale": size, "translate": offset, "units": ["nm"] * 3}
    return {"pixelResolution": {"dimensions": size[::-1], "unit": "nm"}, "transform": transform}


WRITERS = {
    "n5-viewer": ("em/raw", {}, viewer),
    "scales": (
        "em/raw",
        {"em/raw": {"scales": FACTORS, "pixelResolution": {"dimensions": SIZE, "unit": "nm"}}},
        lambda level: {},
    ),
    "BigDataViewer": (
        "setup0/timepoint0",
        {
            "setup0": {"downsamplingFactors": FACTORS},
            "setup0/timepoint0": {"resolution": SIZE, "units": ["nm"] * 3},
        },
        lambda level: {},
    ),
    "Paintera": (
        "em/raw/data",
        {"em/raw/data": {"multiScale": True, "resolution": SIZE, "units": ["nm"] * 3}},
        lambda level: {"downsamplingFactors": FACTORS[level]} if level else {},
    ),
    "COSEM": ("em/raw", {}, cosem),
    "each its own": ("em/raw", {}, lambda n: {"resolution": [float(v) for v in SIZES[n]][::-1]}),
}


def write(folder, writer):
    group, above, attrs = WRITERS[writer]
    for level in range(3):
        path = f"{group}/s{level}"
        raw = create_dataset(folder / "a.n5", path, (8 // FACTORS[level][2], 9, 8), "u1")
        raw.write((), np.full(raw.shape, level + 1, np.uint8))
        describe(folder / "a.n5" / path / "attributes.json", attrs(level))
    for path, said in above.items():
        describe(folder / "a.n5" / path / "attributes.json", said)
    return group.removesuffix("/data")


@pytest.mark.parametrize("writer", WRITERS)
def test_levels(tmp_path, writer):
    group = write(tmp_path, writer)
    assert [level.voxel_size for level in list_levels(tmp_path / "a.n5", group)] == SIZES
    with http_server(tmp_path) as url:
        assert [level.voxel_size for level in list_levels(f"{url}/a.n5", group)] == SIZES
    for options, number in (({"level": 2}, 2), ({"voxel_size": SIZES[1]}, 1)):
        level = open_dataset(tmp_path / "a.n5", group, **options)
        assert level.read(()).max() == number + 1
        found = read_geometry(level)
        assert found.voxel_size == SIZES[number]
        shift = (SIZES[number] - SIZES[0]) / 2 if writer == "COSEM" else (0, 0, 0)
        assert found.offset == shift
        assert found.units == (None if writer == "each its own" else ("nm",) * 3)
    with pytest.raises(DatasetNotFound, match=r"no level 3.*0: \(50, 4.6, 9.8\).*2: \(100, 41"):
        open_dataset(tmp_path / "a.n5", group, level=3)


def test_a_source_takes_a_level(tmp_path):
    raw = gp.ArrayKey("RAW")
    source = gp.DatasetSource(tmp_path / "a.n5", {raw: write(tmp_path, "Paintera")}, level=1)
    with gp.build(source):
        assert source.spec[raw].roi == gp.Roi((0, 0, 0), SIZES[1] * Coordinate(8, 9, 8))


def test_the_offset_of_the_group_is_that_of_all_levels(tmp_path):
    group = write(tmp_path, "Paintera")
    describe(tmp_path / "a.n5/em/raw/data/attributes.json", {"offset": [98, 46, 500]})
    for level in range(3):
        found = read_geometry(open_dataset(tmp_path / "a.n5", group, level=level))
        assert found.offset == Coordinate(500, 46, 98)


def test_a_group_speaks_of_its_levels_only(tmp_path):
    create_dataset(tmp_path / "a.n5", "volumes/raw", (4, 5, 6), "u1")
    describe(tmp_path / "a.n5/volumes/attributes.json", {"resolution": SIZE})
    with pytest.raises(MetadataMissing):
        read_geometry(open_dataset(tmp_path / "a.n5", "volumes/raw"))


def test_levels_that_do_not_say_their_size(tmp_path):
    create_dataset(tmp_path / "a.n5", "raw/s0", (4, 5, 6), "u1")
    with pytest.raises(MetadataMissing, match="raw/s0 does not say its voxel size.*by its path"):
        open_dataset(tmp_path / "a.n5", "raw", level=0)
    assert list_levels(tmp_path / "a.n5", "raw/s0") == []
