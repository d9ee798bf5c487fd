"""Files in neuroglancer: kinds of layers, places in the world, and who is served."""

import http.client
import io
import json
import sys
import urllib.error
import urllib.request
import zlib
from fractions import Fraction
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import voxflow as gp
from voxflow.inspect import view
from voxflow.inspect.arrays import open_array
from voxflow.inspect.find import Container
from voxflow.stores import Geometry, StoreError, StoreNotFound, create_dataset, open_attrs

neuroglancer = pytest.importorskip("neuroglancer")
from voxflow.inspect.scene import Scene, units_of  # noqa: E402 - needs it

TOP = 2**63 + 5
CUBE = (4, 6, 8)


def write(path, name, data, size=(40, 4, 4), offset=(0, 0, 0), **place):
    where = Geometry(size, offset, **place)
    create_dataset(path, name, data.shape, data.dtype, geometry=where).write((), data)
    return path


def write_graph(path, name, ids, points, edges=None):
    tables = {"ids": np.array(ids, np.uint64), "locations": np.array(points, np.float32)}
    tables |= {} if edges is None else {"edges": np.array(edges, np.uint64)}
    for part, data in tables.items():
        create_dataset(path, f"{name}-{part}", data.shape, data.dtype).write((), data)


@pytest.fixture
def shown():
    """Shows files; gives the viewer, and its layers by their names, as the browser gets them."""
    opened = []

    def shown(*paths, **options):
        opened.append(view(paths, **options))
        state = opened[-1].viewer.state.to_json()
        return opened[-1], {layer["name"]: layer for layer in state["layers"]}

    yield shown
    for viewer in opened:
        viewer.close()


def source(layer):
    (found,) = layer["source"]
    return found


def dimensions(layer):
    """Scale (in meters, where there is a unit) and unit of each axis."""
    return source(layer)["transform"]["outputDimensions"]


def moved(layer):
    """Where the first voxel begins, in voxels."""
    return [row[-1] for row in source(layer)["transform"]["matrix"]]


def chunk(viewer, layer, begin, end, factors=None):
    """What the browser gets of a layer."""
    factors = factors or [1] * len(begin)
    volume = viewer.viewer.state.layers[layer].layer.source[0].url
    token = volume.rpartition("/")[2]
    parts = "/".join(",".join(map(str, part)) for part in (factors, begin, end))
    address = urlsplit(viewer.url)
    with urllib.request.urlopen(
        f"http://{address.netloc}/neuroglancer/npz/{token}/{parts}"
    ) as answer:
        return np.load(io.BytesIO(zlib.decompress(answer.read())))


def test_layers_are_of_the_kind_that_inspect_finds(shown, tmp_path):
    path = tmp_path / "a.zarr"
    arrays = {
        "raw": np.zeros(CUBE, np.uint8),
        "pred": np.linspace(-1, 3, 192).reshape(CUBE).astype(np.float32),
        "labels": np.zeros(CUBE, np.uint64),
        "mask": np.zeros(CUBE, bool),
        "affs": np.full((3, *CUBE), 0.25, np.float32),
        "two_affs": np.zeros((2, *CUBE), np.uint8),
        "rgb_image": np.zeros((3, *CUBE), np.uint8),
        "ten_lsds": np.zeros((10, *CUBE), np.float32),
        "curve": np.zeros(9),
    }
    for name, data in arrays.items():
        write(path, name, data) if data.ndim > 2 else create_dataset(
            path, name, data.shape, data.dtype
        )
    viewer, layers = shown(path)
    assert viewer.notes == []
    kinds = {name: layer["type"] for name, layer in layers.items()}
    assert {name for name, kind in kinds.items() if kind == "segmentation"} == {"labels", "mask"}
    assert set(kinds) == set(arrays) - {"curve"}
    coloured = {name for name, layer in layers.items() if "emitRGB" in layer.get("shader", "")}
    assert coloured == {"affs", "two_affs", "rgb_image"}
    assert "getDataValue(2)" in layers["affs"]["shader"]
    assert "getDataValue(2)" not in layers["two_affs"]["shader"]
    channels = {name: next(iter(dimensions(layer))) for name, layer in layers.items()}
    assert (channels["affs"], channels["ten_lsds"], channels["raw"]) == ("c^", "c0'", "z")
    ranges = {n: x.get("shaderControls", {}).get("shown") for n, x in layers.items()}
    assert ranges["pred"]["range"] == [-1, 3]
    assert ranges["affs"]["range"] == [0, 1]
    assert ranges["raw"] is None
    seen = [name for name, layer in layers.items() if layer.get("visible", True)]
    assert seen == ["raw", "labels"]


def tenths(low, high):
    return st.lists(st.integers(low, high).map(lambda n: Fraction(n, 10)), min_size=3, max_size=3)


@settings(max_examples=20, phases=[Phase.explicit, Phase.generate])
@given(
    tenths(1, 1000),
    tenths(-10000, 10000),
    st.sampled_from([None, "nm", "nanometer", "um", "mm"]),
    st.sampled_from([2, 3]),
    st.sampled_from([(), (2,), (2, 3)]),
)
def test_voxels_are_at_their_place_in_the_world(tmp_path_factory, size, offset, unit, dims, lead):
    path = tmp_path_factory.mktemp("place") / "a.zarr"
    units = None if unit is None else (unit,) * dims
    size, offset = size[:dims], offset[:dims]
    write(path, "raw", np.zeros((*lead, *CUBE[-dims:]), np.uint8), size, offset, units=units)
    array = open_array(Container(str(path)), "raw")
    scene = Scene(neuroglancer.ViewerState(), next(iter(units_of(array)), None))
    scene.add_file(Container(str(path)), [array])
    assert scene.look("a")
    state = scene.state.to_json()
    (layer,) = state["layers"]
    found = list(dimensions(layer).items())[len(lead) :]
    meters = {None: 1, "nm": 1e-9, "nanometer": 1e-9, "um": 1e-6, "mm": 1e-3}[unit]
    assert [name for name, _ in found] == list("zyx"[-dims:])
    assert {text for _, (_, text) in found} == {"" if unit is None else "m"}
    scales = [scale for _, (scale, _) in found]
    assert scales == pytest.approx([float(n) * meters for n in size])
    corner = [n * scale for n, scale in zip(moved(layer)[len(lead) :], scales, strict=True)]
    assert corner == pytest.approx([float(n) * meters for n in offset], abs=1e-12)
    linear = np.array(source(layer)["transform"]["matrix"])[:, :-1]
    assert (linear == np.eye(len(lead) + dims)).all()
    middle = [float(o + n * s / 2) for o, n, s in zip(offset, CUBE[-dims:], size, strict=True)]
    axes = list(state["dimensions"])
    assert axes == list("xyz"[:dims])
    voxel = [scale for scale, _ in state["dimensions"].values()]
    looked_at = [n * scale for n, scale in zip(state["position"], voxel, strict=True)]
    assert looked_at == pytest.approx([n * meters for n in middle[::-1]])


def test_arrays_of_several_units_share_one_world(shown, tmp_path):
    path = write(tmp_path / "a.zarr", "raw", np.zeros(CUBE, np.uint8), units=("nm",) * 3)
    write(path, "pred", np.zeros(CUBE, np.uint8), (0.04, 0.004, 0.004), units=("um",) * 3)
    write(path, "scores", np.zeros(CUBE, np.uint8))  # does not say
    write_graph(path, "points", [7], [(40, 8, 4)])
    _, layers = shown(path)
    for name in ("raw", "pred", "scores"):
        place = dimensions(layers[name])
        assert {unit for _, unit in place.values()} == {"m"}
        assert [place[axis][0] for axis in "zyx"] == pytest.approx([4e-8, 4e-9, 4e-9])
    assert dimensions(layers["points"])["z"] == [1e-9, "m"]


def test_axes_keep_the_names_that_the_file_gives_them(shown, tmp_path):
    place = {"axes": ("x", "y", "z", "c"), "spatial": (0, 1, 2)}
    data = np.arange(2 * 4 * 6 * 8, dtype=np.uint8).reshape(8, 6, 4, 2)
    path = write(tmp_path / "a.zarr", "raw", data, (4, 4, 40), (0, 0, 80), **place)
    viewer, layers = shown(path)
    assert list(dimensions(layers["raw"])) == ["c0'", "x", "y", "z"]
    assert moved(layers["raw"]) == [0, 0, 0, 2]
    seen = chunk(viewer, "raw", (1, 2, 0, 1), (2, 5, 3, 4))
    assert (seen[0] == data[2:5, 0:3, 1:4, 1]).all()


def test_ids_are_exact_and_voxels_are_read_when_they_are_asked_for(shown, tmp_path):
    ids = np.arange(6000, dtype=np.uint64).reshape(10, 20, 30) + np.uint64(TOP)
    ids[0, 0, 0] = 2**64 - 1
    viewer, _ = shown(write(tmp_path / "a.zarr", "labels", ids))
    assert (chunk(viewer, "labels", (0, 5, 10), (4, 9, 20)) == ids[:4, 5:9, 10:20]).all()
    coarse = chunk(viewer, "labels", (0, 0, 0), (5, 10, 15), (2, 2, 2))
    assert (coarse == ids[::2, ::2, ::2]).all()


def test_what_cannot_be_read_is_refused_not_served(shown, tmp_path, caplog):
    data = np.random.default_rng(0).integers(0, 255, CUBE, np.uint8)
    path = write(tmp_path / "a.zarr", "raw", data)
    viewer, _ = shown(path)
    for file in (path / "raw").rglob("0*"):
        if file.is_file():
            file.write_bytes(b"junk")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        chunk(viewer, "raw", (0, 0, 0), CUBE)
    assert "a region cannot be shown" in caplog.text


def test_graphs_are_points_and_lines_in_world_units(shown, tmp_path):
    path = write(tmp_path / "a.zarr", "raw", np.zeros(CUBE, np.uint8))
    write_graph(path, "tree", [4, TOP], [(20.5, 8, 4), (60, 12, 16)], [(4, TOP)])
    (tmp_path / "synapses.csv").write_text("z,y,x,score\n80,2,3,0.5\n")
    other = tmp_path / "other.zarr"
    write_graph(other, "others", [1], [(1, 2, 3)])
    _, layers = shown(path, graphs=[tmp_path / "synapses.csv", other])
    assert list(layers) == ["raw", "tree", "synapses.csv", "others"]
    first, second, line = layers["tree"]["annotations"]
    assert (first["type"], first["point"]) == ("point", [20.5, 8, 4])
    assert second["description"] == str(TOP)
    assert (line["type"], line["pointA"], line["pointB"]) == ("line", [20.5, 8, 4], [60, 12, 16])
    assert layers["synapses.csv"]["annotations"][0]["point"] == [80, 2, 3]
    graph = gp.Graph([gp.Node(3, (5, 6, 7))], [], gp.GraphSpec(gp.Roi((0, 0, 0), (9, 9, 9))))
    _, layers = shown(path, graphs={"mine": graph})
    assert layers["mine"]["annotations"][0]["point"] == [5, 6, 7]
    with pytest.raises(StoreError, match="has no graph"):
        shown(path, graphs=path / "raw")


def test_of_a_run_some_snapshots_are_shown(shown, tmp_path):
    for number in range(5):
        path = tmp_path / "run" / "snapshots" / f"{number}.zarr"
        write(path, "raw", np.zeros(CUBE, np.uint8), offset=(400 * number, 0, 0))
        open_attrs(path, mode="r+").update(loss=float(number == 2))
    (tmp_path / "run" / "snapshots" / "9.hdf").write_bytes(b"junk")
    viewer, layers = shown(tmp_path / "run", max_files=3)
    assert list(layers) == ["0.zarr/raw", "2.zarr/raw", "4.zarr/raw"]
    assert [layer.get("visible", True) for layer in layers.values()] == [True, False, False]
    assert "9.hdf cannot be read" in viewer.notes[0]
    assert viewer.notes[1:] == ["Of 5 files, 3 are shown."]


def test_what_cannot_be_shown_is_an_error(tmp_path):
    with pytest.raises(StoreNotFound, match="no file or folder"):
        view(tmp_path / "none.zarr")
    create_dataset(tmp_path / "a.zarr", "curve", (9,), np.float32)
    with pytest.raises(StoreError, match=r"a\.zarr: there is no array in two or three dimensions"):
        view(tmp_path / "a.zarr")


def test_only_this_machine_and_only_who_has_the_link_is_served(shown, tmp_path):
    viewer, _ = shown(write(tmp_path / "a.zarr", "raw", np.zeros(CUBE, np.uint8)))
    address = urlsplit(viewer.url)
    listening = [
        connection.laddr.ip
        for connection in psutil.Process().net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == address.port
    ]
    assert listening == ["127.0.0.1"]
    token = address.path.strip("/").removeprefix("v/")
    assert len(token) == 40
    other = "0" * 40

    def status(path, host=address.netloc, method="GET", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
        connection.request(method, path, body, headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    volume = viewer.viewer.state.layers["raw"].layer.source[0].url.rpartition("/")[2]
    info = f"/neuroglancer/info/{volume}"
    assert (status(f"/v/{token}/"), status(info)) == (200, 200)
    assert status(f"/v/{token}/", f"localhost:{address.port}") == 200
    for host in ("evil.example", f"127.0.0.1.evil.example:{address.port}", "10.0.0.1"):
        assert (status(f"/v/{token}/", host), status(info, host)) == (404, 404)
    for path in (
        "/",
        f"/v/{other}/",
        info.replace(token, other),
        f"/v/{token}/../../etc/passwd",
        f"/v/{token}/etc/passwd",
        f"/events/{other}?c=1&gc=&gs=",
    ):
        assert status(path) == 404, path
    body = json.dumps({"pg": "", "g": "1", "s": {}, "c": "x"})
    assert status(f"/state/{other}", method="POST", body=body) == 404
    # The credentials of this process are not for pages.
    assert status(f"/credentials/{token}", method="POST", body="{}") == 403


def test_after_the_end_nothing_is_served(tmp_path):
    path = write(tmp_path / "a.zarr", "raw", np.zeros(CUBE, np.uint8))
    with view(path) as viewer:
        assert urllib.request.urlopen(viewer.url).status == 200
        with pytest.raises(OSError, match="in use"):
            view(path, port=urlsplit(viewer.url).port)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(viewer.url)
    viewer.close()


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch, tmp_path):
    for name in ("layers", "scene", "serve"):
        monkeypatch.delitem(sys.modules, f"voxflow.inspect.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "neuroglancer", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "voxflow\[view\]"'):
        view(tmp_path)
