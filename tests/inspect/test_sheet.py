"""Contact sheets of files."""

import numpy as np
import pytest

from voxflow.inspect import write_sheet
from voxflow.stores import Geometry, StoreError, StoreNotFound, create_dataset


def test_a_row_for_each_file(tmp_path):
    image = pytest.importorskip("PIL.Image")
    data = np.arange(3 * 10 * 20, dtype=np.uint8).reshape(3, 10, 20)
    for name in ("1.zarr", "2.hdf"):
        where = Geometry((40, 4, 4), (0, 0, 0))
        stored = create_dataset(tmp_path / "in" / name, "raw", data.shape, "uint8", geometry=where)
        stored.write((), data)
    out = write_sheet(tmp_path / "in", tmp_path / "out" / "sheet.png", height=50)
    picture = np.asarray(image.open(out))
    for row in range(2):
        top = 8 + 36 + row * (36 + 50 + 8)
        tile = picture[top : top + 50 : 5, 8 : 8 + 100 : 5, 0]
        np.testing.assert_array_equal(tile, data[1])


def test_nothing_to_draw_is_said(tmp_path):
    create_dataset(tmp_path / "a.hdf", "curve", (5,), "float32")
    with pytest.raises(StoreError, match="no array in two or three dimensions"):
        write_sheet(tmp_path / "a.hdf", tmp_path / "sheet.png")
    with pytest.raises(StoreNotFound):
        write_sheet(tmp_path / "none", tmp_path / "sheet.png")
