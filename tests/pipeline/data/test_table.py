import pickle

import numpy as np
import pytest

from voxflow.pipeline.data.table import MISSING, Table, as_column, gather


def table(count=3, **free):
    return Table({"id": np.arange(count)}, free)


def values(of, name, missing=None):
    return of.values(name, missing).tolist()


def test_appended_rows_keep_their_numbers():
    rows = table(0)
    for i in range(100):
        assert rows.append({"id": i, "even": True} if i % 2 == 0 else {"id": i}) == i
    assert len(rows) == 100
    assert rows.column("id").tolist() == list(range(100))
    assert values(rows, "even", False) == [True, False] * 50


def test_removed_rows_stay_until_compacted():
    rows = table(4, x=np.arange(4.0))
    rows.remove(1)
    rows.append({"id": 9, "x": 9.5})
    rows.remove(4)
    rows.append({"id": 10, "x": 10.5})
    assert (len(rows), rows.removed) == (6, 2)
    assert [rows.is_alive(row) for row in range(7)] == [True, False, True, True, False, True, False]
    compact = rows.compact()
    assert compact.column("id").tolist() == [0, 2, 3, 10]
    assert compact.column("x").tolist() == [0, 2, 3, 10.5]
    assert compact.compact() is compact


def test_column_can_be_set_after_removals():
    rows = table(2)
    rows.remove(0)
    rows = rows.compact()
    rows.append({"id": 5})
    rows.remove(0)
    rows.set_column("label", np.array([7, 8]))
    rows.append({"id": 6, "label": 9})
    assert values(rows.compact(), "label") == [8, 9]
    with pytest.raises(ValueError, match="'label' needs 3 values, one for each row, got 1"):
        rows.set_column("label", np.array([1]))


@pytest.mark.parametrize(
    ("column", "value", "dtype"),
    [
        (np.arange(3, dtype=np.uint8), 255, np.uint8),
        (np.arange(3, dtype=np.uint8), 256, object),
        (np.arange(3, dtype=np.uint8), -1, object),
        (np.arange(3, dtype=np.int32), 2**40, np.int64),
        (np.arange(3, dtype=np.int64), 2**63, object),
        (np.arange(3, dtype=np.uint64), 2**64 - 1, np.uint64),
        (np.arange(3), 1.5, object),
        (np.arange(3), "a", object),
        (np.arange(3), [1, 2], object),
        (np.zeros(3, np.float32), 0.1, np.float64),
        (np.zeros(3, np.float32), 3, np.float32),
        (np.zeros(3, np.float64), 2**53 + 1, object),
        (np.zeros(3, np.float64), np.float32(0.5), np.float64),
        (np.zeros(3, bool), True, bool),
        (np.array(["a", "b", "c"]), "longer", object),
    ],
)
def test_columns_widen_rather_than_lose(column, value, dtype):
    rows = table(x=column)
    before = column.tolist()
    rows.write(1, "x", value)
    assert rows.column("x").dtype == dtype
    assert rows.read(1, "x") == value
    assert [rows.read(0, "x"), rows.read(2, "x")] == [before[0], before[2]]


def test_several_values_for_each_row():
    rows = table(direction=np.zeros((3, 2)))
    rows.write(1, "direction", np.array([1.0, 2.0]))
    rows.read(1, "direction")[0] = 5
    assert rows.column("direction").tolist() == [[0, 0], [5, 2], [0, 0]]
    rows.discard(0, "direction")
    assert list(rows.names(0)) == ["id"]
    assert rows.read(1, "direction").tolist() == [5, 2]


def test_missing_values():
    rows = table(x=np.array([1, 2, 3]))
    rows.write(0, "name", "a")
    rows.discard(1, "x")
    assert list(rows.names(0)) == ["id", "x", "name"]
    assert list(rows.names(1)) == ["id"]
    with pytest.raises(KeyError):
        rows.read(1, "x")
    with pytest.raises(KeyError, match="2 of 3 have no attribute 'name'"):
        rows.values("name")
    assert values(rows, "name", "?") == ["a", "?", "?"]
    assert rows.values("x", 0).dtype == np.int64
    with pytest.raises(KeyError, match="no attribute 'y'; the attributes are: x, name"):
        rows.values("y")
    with pytest.raises(KeyError, match="cannot be left out"):
        rows.discard(0, "id")


def test_take_copies_deeply():
    rows = table()
    rows.write(0, "tags", ["a"])
    taken = rows.take(np.array([2, 0]))
    taken.read(1, "tags").append("b")
    taken.column("id")[0] = 7
    assert rows.read(0, "tags") == ["a"]
    assert rows.column("id").tolist() == [0, 1, 2]


def test_pickle_leaves_spare_room_behind():
    rows = table(0)
    for i in range(9):
        rows.append({"id": i, "x": i})
    rows.remove(0)
    again = pickle.loads(pickle.dumps(rows))
    again.append({"id": 9, "x": 9})
    assert again.compact().column("id").tolist() == list(range(1, 10))
    assert again.read(1, "x") == 1
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING


def test_columns_of_different_lengths():
    with pytest.raises(ValueError, match="differ in length"):
        table(3, x=np.arange(2))


def test_gather():
    columns = gather([{"a": 1, "id": 0}, {"b": [2]}], 2, frozenset({"id"}))
    assert {name: column.tolist() for name, column in columns.items()} == {
        "a": [1, MISSING],
        "b": [MISSING, [2]],
    }


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ([1, 2], np.int64),
        ([1.0, float("nan")], np.float64),
        ([2**64 - 1, 0], np.uint64),
        ([2**53 + 1, 0.5], object),
        ([-1, 2**63], object),
        ([1, 0.5], np.float64),
        ([True, False], bool),
        (["a", None], object),
        ([[1], [2, 3]], object),
        (np.array([1, 2], np.uint8), np.uint8),
        ([], np.float64),
    ],
)
def test_as_column_keeps_values(given, dtype):
    column = as_column("x", given, len(given))
    assert column.dtype == dtype
    for value, expected in zip(column.tolist(), list(given), strict=True):
        assert value == expected or value != value


def test_as_column_of_another_length():
    with pytest.raises(ValueError, match=r"'x' has the shape \(2,\), needs 3 entries"):
        as_column("x", [1, 2], 3)
