import shutil

import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import asking, ramp, served
from voxflow.stores import Geometry, create_dataset, open_dataset, write_geometry

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")


@pytest.mark.parametrize("options", [{"zarr_format": 2}, {"zarr_format": 3}, {"shards": (2, 4, 4)}])
def test_all_kinds_of_stores(tmp_path, options):
    roi = gp.Roi((9.8, 4), (49, 40))
    data = ramp(roi, (9.8, 4))
    geometry = Geometry((9.8, 4), (9.8, 4))
    path = tmp_path / "a.zarr"
    create_dataset(
        path, "volumes/raw", data.shape, data.dtype, chunks=(1, 2, 2), geometry=geometry, **options
    ).write((), data)
    asked = gp.Roi((19.6, 8), (19.6, 20))
    shutil.make_archive(str(tmp_path / "a"), "zip", path)
    for store in (path, str(path), tmp_path / "a.zip", zarr.open_group(str(path), mode="r")):
        source = gp.ZarrSource(store, {RAW: "volumes/raw"})
        batch = served(source, asking(RAW=(asked.offset, asked.shape)))
        np.testing.assert_allclose(batch[RAW].data, ramp(asked, (9.8, 4)), rtol=1e-12)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    kind = 2 if version == "0.4" else 3
    path = tmp_path / "a.zarr"
    raw = create_dataset(path, "image/s0", (2, 4, 6), "u1", chunks=(1, 4, 3), zarr_format=kind)
    raw.write((), np.arange(48, dtype=np.uint8).reshape(2, 4, 6))
    write_geometry(raw, Geometry((4.6, 2), (9.2, 4), units=("nanometer",) * 2), ngff=version)
    for name in ("resolution", "voxel_size", "offset"):
        del open_dataset(path, "image/s0", "r+").attrs[name]
    source = gp.ZarrSource(path, {RAW: "image/s0"})
    with gp.build(source):
        assert source.spec[RAW].roi == gp.Roi((9.2, 4), (18.4, 12))
        data = source.request_batch(asking(RAW=((13.8, 6), (4.6, 4))))[RAW].data
    np.testing.assert_array_equal(data, [[[7, 8]], [[31, 32]]])


def test_axes_that_the_file_names_come_into_order(tmp_path):
    # Time first, then space, channels last: all that is no space leads.
    data = np.arange(2 * 3 * 4 * 5, dtype=np.int32).reshape(2, 3, 4, 5)
    attrs = {"axis_names": ["t", "z", "y", "c^"], "voxel_size": [3, 2], "offset": [3, 2]}
    create_dataset(tmp_path / "a.zarr", "raw", data.shape, data.dtype, attrs=attrs).write((), data)
    source = gp.ZarrSource(tmp_path / "a.zarr", {RAW: "raw"})
    batch = served(source, asking(RAW=((6, 2), (6, 4))))
    np.testing.assert_array_equal(batch[RAW].data, data.transpose(0, 3, 1, 2)[:, :, 1:3, :2])


def test_the_old_name_of_the_store(tmp_path):
    create_dataset(tmp_path / "a.zarr", "raw", (4,), "u1", geometry=Geometry((1,), (0,))).write(
        (), np.ones(4, np.uint8)
    )
    source = gp.ZarrSource(filename=str(tmp_path / "a.zarr"), datasets={RAW: "raw"})
    assert served(source, asking(RAW=((0,), (4,))))[RAW].data.all()


def test_arguments_that_do_not_go_together():
    with pytest.raises(TypeError, match="either store= or filename="):
        gp.ZarrSource("a.zarr", {RAW: "raw"}, filename="b.zarr")
    with pytest.raises(TypeError, match="either store= or filename="):
        gp.ZarrSource(datasets={RAW: "raw"})
    with pytest.raises(TypeError, match="needs datasets="):
        gp.ZarrSource("a.zarr")


def test_nothing_is_made_where_nothing_is(tmp_path):
    source = gp.ZarrSource(tmp_path / "a.zarr", {RAW: "raw"})
    assert not (tmp_path / "a.zarr").exists()
    with pytest.raises(gp.PipelineSetupError), gp.build(source):
        pass
    assert not (tmp_path / "a.zarr").exists()


def test_a_path_into_a_store(tmp_path):
    create_dataset(
        tmp_path / "a.zarr", "volumes/raw", (4,), "u1", geometry=Geometry((1,), (0,))
    ).write((), np.ones(4, np.uint8))
    source = gp.ZarrSource(tmp_path / "a.zarr" / "volumes", {RAW: "raw"})
    assert served(source, asking(RAW=((0,), (4,))))[RAW].data.all()
