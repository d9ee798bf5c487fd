import dill
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import asking, served, specs

POINTS = gp.GraphKey("points")
EVERYWHERE = gp.GraphSpec(gp.Roi((-1e6, -1e6), (2e6, 2e6)))


@pytest.fixture
def read(tmp_path):
    def read(text, cols=(0, 1), roi=None, **options):
        file = tmp_path / "points.csv"
        file.write_bytes(text.encode())
        source = gp.CsvPointsSource(file, POINTS, cols, **options)
        with gp.build(source):
            asked = source.spec[POINTS].roi if roi is None else gp.Roi(*roi)
            return source.request_batch(asking(points=asked))[POINTS]

    return read


def test_golden(read):
    graph = read("1,2,3\n4,5,6\n7.5,8,9\n")
    assert graph.ids.tolist() == [0, 1, 2]
    assert graph.locations.tolist() == [[1, 2], [4, 5], [7.5, 8]]
    assert graph.locations.dtype == np.float32
    assert graph.spec.roi == gp.Roi((1, 2), (8, 7))
    assert graph.num_edges() == 0


def test_regions(read):
    text = "1,2\n4,5\n7.5,8\n-0.5,3\n"
    # begin <= location < end
    assert read(text, roi=((1, 2), (3, 5))).ids.tolist() == [0]
    assert read(text, roi=((-1, 2), (8, 3))).ids.tolist() == [0, 3]
    assert read(text, roi=((2, 2), (1, 1))).num_vertices() == 0


@pytest.mark.parametrize(
    "header",
    [
        "",
        "z,y,x,id\n",
        "\n\n  \nz,y,x,id\n",
        "# z,y,x,id\n",
        '"z","y","x","id"\r\n',
        "\ufeffz,y,x,id\n",
        "\ufeff",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", ""])
def test_headers(read, header, end):
    rows = ["1,2,3,10", "4,5,6,20"]
    text = header + "\n".join(rows) + end
    graph = read(text, (2, 1, 0), id_col=3)
    assert graph.locations.tolist() == [[3, 2, 1], [6, 5, 4]]
    assert graph.ids.tolist() == [10, 20]
    assert read(text, (0,)).ids.tolist() == [0, 1]


@pytest.mark.parametrize("column", [0, 2])
def test_ids_are_kept_to_the_last_bit(read, column):
    ids = [2**64 - 1, 5, 2**53 + 1]
    rows = [[str(i), str(i)] for i in range(3)]
    for row, own in zip(rows, ids, strict=True):
        row.insert(column, str(own))
    text = "\n".join(",".join(row) for row in rows)
    cols = [c for c in range(3) if c != column]
    assert read(text, cols, id_col=column).ids.tolist() == ids
    negative = text.replace(str(2**64 - 1), "-7")
    assert read(negative, cols, id_col=column).ids.tolist() == [-7, *ids[1:]]


@pytest.mark.parametrize("scale", [(1, 2, 3), [[1], [2]], (1, float("nan"))])
def test_a_scale_that_does_not_fit_is_refused(scale):
    with pytest.raises(ValueError, match=r"scale is a number, or one for each of spatial_cols"):
        gp.CsvPointsSource("points.csv", POINTS, (0, 1), scale=scale)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lines_of_delimiters_only_count_for_nothing(read, delimiter):
    text = "z,y,x\n,,\n1,2,3\n , ,\n4,5,6\n,,\n".replace(",", delimiter)
    assert read(text, delimiter=delimiter).locations.tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize(("scale", "expected"), [(2.5, [2.5, 5]), ((2, 10), [2, 20])])
def test_scale(read, scale, expected):
    graph = read("1,2\n", scale=scale)
    assert graph.locations.tolist() == [expected]
    assert read("1,2\n", scale=np.array(scale)).locations.tolist() == [expected]


@pytest.mark.parametrize("delimiter", ["\t", ";", " "])
def test_delimiters(read, delimiter):
    text = f"x{delimiter}y\n1{delimiter}2\n"
    assert read(text, delimiter=delimiter).locations.tolist() == [[1, 2]]


def test_spaces_and_quotes(read):
    assert read(' 1, 2\n"3",4e0\n').locations.tolist() == [[1, 2], [3, 4]]


def test_spec(read):
    spec = gp.GraphSpec(gp.Roi((0, 0), (10, 10)), directed=False, dtype=np.float64)
    graph = read("0.1,9\n12,3\n", points_spec=spec)
    assert graph.locations.tolist() == [[0.1, 9]]
    assert graph.spec == spec
    assert read("", points_spec=spec).num_vertices() == 0
    assert read("z,y\n", points_spec=spec, id_col=2).num_vertices() == 0


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1,2\n3,x\n", {}, r"points.csv, line 2, column 1: 'x' is not a coordinate"),
        ("1,x\n3,4\n", {}, r"points.csv, line 1, column 1: 'x' is not a coordinate"),
        ("a,b\n\n1,2\n3,\n", {}, r"points.csv, line 4, column 1: '' is not a coordinate"),
        ("1,2\n3\n", {}, r"points.csv, line 2, column 1: the line has only 1 values"),
        ("1,2\n3,nan\n", {}, r"points.csv, line 2, column 1: 'nan' is not a coordinate"),
        ("1,2\n3,inf\n", {}, r"points.csv, line 2, column 1: 'inf' is not a coordinate"),
        ("1;2\n3;4\n", {}, r"points_spec|line 2, column 0"),
        ("1,2,7\n3,4,a\n", {"id_col": 2}, r"points.csv, line 2, column 2: 'a' is not an id"),
        ("1,2,7\n3,4,1.5\n", {"id_col": 2}, r"points.csv, line 2, column 2: '1.5' is not an id"),
        (f"1,2,7\n3,4,{2**64}\n", {"id_col": 2}, r"line 2, column 2"),
        ("1,2,7\n3,4,7\n", {"id_col": 2}, r"1 ids belong to more than one node: 7"),
        ("", {}, r"points.csv\] holds no points"),
    ],
)
def test_mistakes_are_named(read, text, options, message):
    with pytest.raises(ValueError, match=message):
        read(text, **options)


def test_mistakes(tmp_path):
    with pytest.raises(TypeError, match="GraphKey"):
        gp.CsvPointsSource("points.csv", gp.ArrayKey("RAW"), (0, 1))
    for cols, options in (((), {}), ((0, -1), {}), ((0,), {"id_col": -1})):
        with pytest.raises(ValueError, match="counted from 0"):
            gp.CsvPointsSource("points.csv", POINTS, cols, **options)
    with (
        pytest.raises(FileNotFoundError),
        gp.build(gp.CsvPointsSource(tmp_path / "none.csv", POINTS, (0, 1))),
    ):
        pass


def test_travels_and_is_built_again(tmp_path):
    file = tmp_path / "points.csv"
    file.write_text("1,2\n")
    source = gp.CsvPointsSource(str(file), POINTS, [0, 1])
    assert source.name() == f"CsvPointsSource[{file}]"
    assert served(dill.loads(dill.dumps(source)), asking(points=((1, 2), (1, 1))))[POINTS]
    for _ in range(2):
        with specs(source) as spec:
            assert spec[POINTS].roi == gp.Roi((1, 2), (1, 1))


@given(
    st.lists(
        st.tuples(*[st.floats(-1e5, 1e5, width=32)] * 2, st.integers(0, 2**64 - 1)),
        unique_by=lambda row: row[2],
    ),
    st.booleans(),
)
def test_there_and_back(tmp_path_factory, rows, header):
    file = tmp_path_factory.mktemp("csv") / "points.csv"
    lines = ["id,z,y"] if header else []
    file.write_text("\n".join([*lines, *(f"{own},{z!r},{y!r}" for z, y, own in rows)]))
    source = gp.CsvPointsSource(file, POINTS, (1, 2), EVERYWHERE, id_col=0)
    graph = served(source, asking(points=EVERYWHERE.roi))[POINTS]
    assert graph.ids.tolist() == [own for *_, own in rows]
    assert graph.locations.tolist() == [[z, y] for z, y, _ in rows]
