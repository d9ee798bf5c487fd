"""The table in the terminal."""

import io

import numpy as np
import pytest

from voxflow.inspect import describe
from voxflow.stores import Geometry, create_dataset, open_attrs

rich = pytest.importorskip("rich.console")


def printed(path, width=160):
    from voxflow.inspect.table import print_reports

    out = io.StringIO()
    print_reports(describe(path), rich.Console(file=out, width=width))
    return out.getvalue()


def test_all_facts_are_in_it(tmp_path):
    path = tmp_path / "7.zarr"
    where = Geometry((40, 4.6, 4.6), (80, 9.2, 0), units=("nanometer",) * 3)
    ids = np.zeros((4, 8, 8), np.uint64)
    ids[2:] = 2**63 + 1
    labels = create_dataset(
        path, "labels", ids.shape, "uint64", geometry=where, chunks=(2, 8, 8), compression="zstd:3"
    )
    labels.write((), ids)
    create_dataset(path, "raw[0]", (4, 8, 8), "uint8", geometry=where, chunks=(2, 8, 8))
    open_attrs(path, mode="r+").update(loss=[0.5, 0.25], iteration=7, note="[red]hello")
    text = printed(path)
    for fact in (
        "iteration 7, loss 0.5, 0.25",
        "4 × 8 × 8",
        "zyx uint64",
        "40 × 4.6 × 4.6 nm",
        "80:240, 9.2:46, 0:36.8",
        "2 × 8 × 8",
        "zstd:3",
        "1 id, 50% background",
        "largest 9223372036854775809",
        "raw[0]",
        "2 of 2 missing",
        "! raw[0]: 2 of its 2 chunks are not stored",
        "note = [red]hello",
    ):
        assert fact in text, fact


def test_what_cannot_be_read_is_a_line(tmp_path):
    (tmp_path / "a.hdf").write_bytes(b"junk [bold]")
    assert "cannot be read: " in printed(tmp_path / "a.hdf")
    assert "is not an HDF5 file" in printed(tmp_path / "a.hdf")


def test_the_tables_of_a_graph_are_one_line(tmp_path):
    path = tmp_path / "a.zarr"
    for part, shape in (("ids", (3,)), ("locations", (3, 2))):
        create_dataset(path, f"points-{part}", shape, "int64").write((), np.ones(shape, np.int64))
    text = printed(path)
    assert "graph points: 3 nodes, 0 edges" in text
    assert "points-ids" not in text
