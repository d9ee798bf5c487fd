import json
import os

import numpy as np
import pytest

import voxflow as gp
from voxflow.stores import (
    DataMismatch,
    Geometry,
    MissingChunk,
    OutputMismatch,
    StoreError,
    StoreUnusable,
    create_dataset,
    list_datasets,
    open_dataset,
    read_geometry,
    store_format,
)
from voxflow.testing.stores import ramp

images = pytest.importorskip("imageio.v3")

WHERE = Geometry((50, 4.6, 9.8), (-25, 2.3, 0.1), ("nm",) * 3, ("z", "y", "x"))


def make(folder, data, **options):
    return create_dataset(
        f"images://{folder}", "", data.shape, data.dtype, compression="png", **options
    )


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_sections_are_png(tmp_path, dtype):
    data = ramp((11, 9, 7), dtype)
    raw = make(tmp_path / "stack", data, geometry=WHERE, attrs={"note": "µ"})
    assert store_format(tmp_path / "stack") == "images"
    assert (raw.shape, raw.dtype, raw.chunks, raw.read_grid) == (
        data.shape,
        dtype,
        *[(1, 9, 7)] * 2,
    )
    raw.write((slice(3, 5),), data[3:5])
    raw.write((slice(5, 6), slice(0, 9)), data[5:6])
    assert sorted(os.listdir(tmp_path / "stack")) == [
        "00003.png",
        "00004.png",
        "00005.png",
        "stack.json",
    ]
    np.testing.assert_array_equal(images.imread(tmp_path / "stack/00004.png"), data[4])
    again = open_dataset(tmp_path / "stack")
    part = (slice(3, 6), slice(2, 5), slice(1, 7))
    np.testing.assert_array_equal(again.read(part), data[part])
    found = read_geometry(again)
    assert (found.voxel_size, found.offset) == (WHERE.voxel_size, WHERE.offset)
    assert (found.units, again.attrs["note"]) == (WHERE.units, "µ")
    assert list_datasets(f"images://{tmp_path}") == ["stack"]


def test_sections_that_are_not_there(tmp_path):
    data = ramp((5, 4, 3), "u1") + 1
    raw = make(tmp_path, data)
    raw.write((slice(0, 2),), data[:2])
    with pytest.raises(MissingChunk, match=r"3 of the 5 sections.*section \(2, 0, 0\).*00002.png"):
        open_dataset(tmp_path).read(())
    filled = open_dataset(tmp_path, missing_chunks="fill").read(())
    np.testing.assert_array_equal(filled[:2], data[:2])
    assert not filled[2:].any()
    raw.write((), data)
    np.testing.assert_array_equal(open_dataset(tmp_path).read(()), data)


def test_parts_of_sections_are_refused(tmp_path):
    raw = make(tmp_path, ramp((5, 4, 3), "u1"))
    with pytest.raises(DataMismatch, match=r"whole sections of \(4, 3\) voxels.*block span"):
        raw.write((slice(0, 2), slice(0, 3)), np.zeros((2, 3, 3), np.uint8))
    assert os.listdir(tmp_path) == ["stack.json"]


def test_what_png_cannot_hold(tmp_path):
    for data in (ramp((2, 2, 2), "f4"), ramp((2, 2, 2), "u8"), ramp((2, 0, 2), "u1")):
        with pytest.raises(StoreError, match="PNG holds uint8 and uint16"):
            make(tmp_path / "stack", data)
    with pytest.raises(StoreError, match="three spatial axes"):
        make(tmp_path / "stack", ramp((3, 2, 2, 2), "u1"))
    with pytest.raises(StoreError, match="cannot be compressed with 'gzip': take None, 'png'$"):
        create_dataset(f"images://{tmp_path}/s", "", (2, 2, 2), "u1", compression="gzip")
    assert os.listdir(tmp_path) == []


def test_another_output_is_not_touched(tmp_path):
    data = ramp((2, 3, 4), "u1")
    make(tmp_path, data, geometry=WHERE).write((), data)
    with pytest.raises(OutputMismatch, match="dtype: is uint8, wanted uint16"):
        make(tmp_path, data.astype("u2"))
    np.testing.assert_array_equal(make(tmp_path, data, geometry=WHERE).read(()), data)
    with pytest.raises(MissingChunk):
        make(tmp_path, data[:1].astype("u2"), exist="overwrite").read(())
    assert os.listdir(tmp_path) == ["stack.json"]


def test_what_is_damaged(tmp_path):
    data = ramp((3, 3, 4), "u1")
    raw = make(tmp_path, data)
    raw.write((), data)
    whole = (tmp_path / "00001.png").read_bytes()
    (tmp_path / "00001.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreUnusable, match="00001.png cannot be decoded"):
        raw.read(())
    images.imwrite(tmp_path / "00001.png", data[1, 1:])
    with pytest.raises(StoreUnusable, match=r"00001.png is of shape \(2, 4\).*write it again"):
        raw.read(())
    (tmp_path / "stack.json").write_text(json.dumps({"shape": [3, 3, 4]}))
    with pytest.raises(StoreUnusable, match="stack.json is damaged"):
        open_dataset(tmp_path)


def test_a_pipeline_writes_png(tmp_path):
    raw = gp.ArrayKey("RAW")
    data = ramp((7, 9, 8), "u2")
    roi = gp.Roi((80, 4, 0), (7 * 40, 36, 32))
    source = gp.ArraySource(raw, gp.Array(data, gp.ArraySpec(roi, (40, 4, 4), interpolatable=True)))
    store = f"images://{tmp_path}/stack"
    for height, lost in ((16, "block span its sections"), (36, None)):
        block = gp.BatchRequest({raw: gp.Roi(roi.offset, (120, height, 32))})
        writer = gp.DatasetWrite({raw: ""}, store, compression_type="png")
        with gp.build(source + writer + gp.Scan(block)) as pipeline:
            if lost is None:
                pipeline.request_batch(gp.BatchRequest())
            else:
                with pytest.raises(DataMismatch, match=lost):
                    pipeline.request_batch(gp.BatchRequest())
    back = gp.DatasetSource(tmp_path / "stack", {raw: ""})
    with gp.build(back):
        assert back.spec[raw].roi == roi
        read = back.request_batch(gp.BatchRequest({raw: roi}))[raw].data
    np.testing.assert_array_equal(read, data)
