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
    out = write_sheet(tmp_path / "in", tmp_path / "out" / "sheet.png", size=100)
    picture = np.asarray(image.open(out))
    head, step = 4 * 15 + 8 + 15, 5
    for row in range(2):
        top = 4 + head + row * (head + 50 + 8)
        tile = picture[top : top + 50 : step, 8 : 8 + 100 : step, 0].astype(int)
        low, high = np.percentile(data, (0.5, 99.5))
        expected = np.clip((data[1] - low) / (high - low), 0, 1) * 255
        np.testing.assert_allclose(tile, expected, atol=1)


def test_nothing_to_draw_is_said(tmp_path):
    create_dataset(tmp_path / "a.hdf", "curve", (5,), "float32")
    with pytest.raises(StoreError, match="no array in two or three dimensions"):
        write_sheet(tmp_path / "a.hdf", tmp_path / "sheet.png")
    with pytest.raises(StoreNotFound):
        write_sheet(tmp_path / "none", tmp_path / "sheet.png")
