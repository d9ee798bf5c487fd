"""What went wrong in gunpowder, in the order of the table in docs/concepts/differences.md."""

import copy
import pickle

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import Nothing, asking, served, source

A, B, LABELS, MASK = (gp.ArrayKey(name) for name in ("A", "B", "LABELS", "MASK"))
POINTS = gp.GraphKey("points")
ROI = gp.Roi((0, 0), (6, 8))
IMAGE = np.arange(12.0).reshape(3, 4)


def image(key=A, data=IMAGE, interpolatable=None):
    return source(key, data, (2, 2), interpolatable=interpolatable)


def points(*nodes, edges=(), roi=ROI):
    return gp.Graph(nodes, edges, gp.GraphSpec(roi, directed=False))


class Points(gp.BatchProvider):
    def __init__(self, graph):
        self.graph = graph

    def setup(self):
        self.provides(POINTS, self.graph.spec)

    def provide(self, request):
        batch = gp.Batch()
        batch[POINTS] = self.graph.crop(request[POINTS].roi)
        return batch


# -- regions and data -----------------------------------------------------------------------------


def test_a_number_times_a_coordinate_is_a_coordinate():
    assert 2 * gp.Coordinate(1, 2) == gp.Coordinate(2, 4)
    assert (1, 2) + gp.Coordinate(3, 4) == (1, 2, 3, 4)


def test_an_empty_region_holds_nothing_and_stays_empty():
    empty = gp.Roi((0,), (4,)).intersect(gp.Roi((10,), (2,)))
    assert empty.empty
    assert not empty.contains(gp.Roi((0,), (4,)))
    assert not empty.contains((1,))
    assert empty.snap_to_grid((2,)).empty
    assert not empty.snap_to_grid((2,)).unbounded


def test_keys_of_two_kinds_differ_and_travel():
    assert gp.ArrayKey("X") != gp.GraphKey("X")
    assert pickle.loads(pickle.dumps(gp.ArrayKey("X"))) is gp.ArrayKeys.X


def test_arrays_need_no_spec_and_take_lists():
    assert gp.Array([1, 2]).data.tolist() == [1, 2]
    spec = gp.ArraySpec(gp.Roi((0,), (4,)), (2,))
    assert gp.Array([1, 2], spec).data.shape == (2,)
    with pytest.raises(ValueError, match="3"):
        gp.Array([1, 2, 3], spec)


def test_nodes_and_edges_can_be_asked():
    node = gp.Node(1, np.array([1.0, 2.0]))
    assert not hasattr(node, "color")
    graph = points(node, gp.Node(2, [3.0, 4.0]), edges=[gp.Edge(1, 2, {"a": 5})])
    assert graph.edge((1, 2)).attrs["a"] == 5
    assert graph.new_graph().num_vertices() == 0
    assert gp.Edge(1, 2) != "something else"


def test_graphs_take_generators_and_lists_as_locations():
    graph = points(*(gp.Node(i, [i, i]) for i in range(3)))
    made = gp.Graph((node for node in graph.nodes), iter([gp.Edge(0, 1)]), graph.spec)
    assert (made.num_vertices(), made.num_edges()) == (3, 1)


@pytest.mark.parametrize("end", [0, -4])
def test_graphs_are_trimmed_on_every_side_of_zero(end):
    roi = gp.Roi((end - 6, end - 6), (6, 6))
    inside, outside = gp.Node(1, [end - 3.0, end - 3.0]), gp.Node(2, [end + 3.0, end - 3.0])
    graph = points(inside, outside, edges=[gp.Edge(1, 2)], roi=roi.grow((9, 9), (9, 9)))
    trimmed = graph.crop(roi).trim(roi)
    assert trimmed.num_vertices() == 2
    assert all(roi.contains(node.location) for node in trimmed.nodes)


def test_requests_are_put_together_in_any_order():
    request = gp.BatchRequest()
    request[B] = gp.ArraySpec(nonspatial=True)
    request.add(A, (4, 4))
    assert request[A].roi == gp.Roi((0, 0), (4, 4))
    assert request.get_common_roi() == gp.Roi((0, 0), (4, 4))


def test_the_neighborhood_of_affinities_reaches_the_consumer():
    affinities = gp.AddAffinities([[-1, 0], [0, -1]], A, B)
    batch = served(image(data=IMAGE.astype(np.uint64)) + affinities, asking(B=((2, 2), (2, 2))))
    assert np.array_equal(batch.affinity_neighborhood, [[-1, 0], [0, -1]])


def test_merging_batches_changes_neither():
    first, second = gp.Batch(), gp.Batch()
    second[A] = gp.Array(IMAGE)
    first.merge(second)
    assert len(first) == 0


# -- requests and pipelines -----------------------------------------------------------------------


def test_a_request_is_not_changed_and_can_be_used_again():
    request = asking(A=ROI)
    request[B] = gp.ArraySpec(ROI, placeholder=True)
    before = copy.deepcopy(request)
    two = (image(A), image(B)) + gp.MergeProvider()
    pipeline = two + Nothing()
    with gp.build(pipeline):
        for _ in range(2):
            batch = pipeline.request_batch(request)
            assert batch[A].data.shape == (3, 4)
            assert B not in batch
            assert request == before
            assert B in request


def test_setting_up_twice_and_using_a_node_twice_are_told():
    node = Nothing()
    with pytest.raises(gp.PipelineSetupError, match="twice"):
        served(image() + node + node, asking(A=ROI))
    pipeline = image() + Nothing()
    with gp.build(pipeline):
        with pytest.raises(gp.PipelineSetupError, match="set up already"):
            pipeline.setup()
        assert pipeline.request_batch(asking(A=ROI))[A].data.shape == (3, 4)


def test_seeded_requests_are_retried_with_other_seeds():
    mask = image(MASK, np.array([[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], np.uint8))
    request = gp.BatchRequest(random_seed=3)
    request.add(MASK, (2, 2))
    batch = served(mask + gp.RandomLocation() + gp.Reject(MASK, 0.5), request)
    assert batch[MASK].data.tolist() == [[1]]


class Draws(gp.BatchFilter):
    def process(self, batch, request):
        batch[A].data = np.full((3, 4), np.random.random())


def test_a_cache_gives_each_request_the_batch_of_its_seed():
    def drawn(pipeline):
        with gp.build(pipeline):
            for seed in range(4):
                request = gp.BatchRequest(random_seed=seed)
                request[A] = ROI
                yield float(pipeline.request_batch(request)[A].data[0, 0])

    first, again = (list(drawn(image() + Draws() + gp.PreCache(num_workers=2))) for _ in range(2))
    assert len(set(first)) == 4
    assert first == again


def test_errors_have_a_text():
    error = gp.BatchRequestError("what went wrong")
    assert str(error) == "what went wrong"


# -- files ----------------------------------------------------------------------------------------


def test_fractions_of_a_resolution_are_kept(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["a"] = IMAGE
        file["a"].attrs.update({"resolution": (4.5, 9.8), "offset": (4.5, 0)})
    node = gp.Hdf5Source(tmp_path / "a.hdf", {A: "a"})
    with gp.build(node):
        assert [float(v) for v in node.spec[A].voxel_size] == [4.5, 9.8]
        assert float(node.spec[A].roi.offset[0]) == 4.5


def test_datasets_of_two_and_three_dimensions_are_read_as_they_are(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["plane"], file["volume"] = IMAGE, np.zeros((2, 3, 4))
        file["plane"].attrs["resolution"] = (2, 2)
        file["volume"].attrs["resolution"] = (1, 1, 1)
    node = gp.Hdf5Source(tmp_path / "a.hdf", {A: "plane", B: "volume"})
    batch = served(node, asking(A=((2, 2), (4, 4)), B=((0, 1, 1), (2, 2, 2))))
    assert batch[A].data.tolist() == IMAGE[1:3, 1:3].tolist()
    assert batch[B].data.shape == (2, 2, 2)


def test_stores_that_cannot_be_written_to_are_read(tmp_path):
    made = zarr.create_array(str(tmp_path / "a.zarr"), name="a", data=IMAGE)
    made.attrs["resolution"] = [2, 2]
    store = zarr.storage.LocalStore(tmp_path / "a.zarr", read_only=True)
    assert (served(gp.ZarrSource(store, {A: "a"}), asking(A=ROI))[A].data == IMAGE).all()
    with pytest.raises(gp.stores.StoreNotFound):
        served(gp.ZarrSource(tmp_path / "nowhere.zarr", {A: "a"}), asking(A=ROI))
    assert not (tmp_path / "nowhere.zarr").exists()


def test_snapshots_are_read_with_their_voxel_size(tmp_path):
    snapshot = gp.Snapshot({A: "a"}, str(tmp_path), "s.hdf")
    served(image() + snapshot, asking(A=ROI))
    node = gp.Hdf5Source(tmp_path / "s.hdf", {A: "a"})
    with gp.build(node):
        assert (node.spec[A].voxel_size, node.spec[A].roi) == ((2, 2), ROI)


# -- nodes ----------------------------------------------------------------------------------------


def test_random_provider_s_key_need_not_be_asked_for():
    chosen = gp.ArrayKey("CHOSEN")
    provider = (image(), image()) + gp.RandomProvider(random_provider_key=chosen)
    assert served(provider, asking(A=ROI))[A].data.shape == (3, 4)


class Number(gp.BatchFilter):
    """Provides an array without a place."""

    def setup(self):
        self.provides(B, gp.ArraySpec(nonspatial=True))

    def process(self, batch, request):
        batch[B] = gp.Array(np.array(7), gp.ArraySpec(nonspatial=True))


def test_random_locations_go_with_arrays_without_a_place():
    request = asking(A=((0, 0), (2, 2)))
    request[B] = gp.ArraySpec(nonspatial=True)
    batch = served(image() + Number() + gp.RandomLocation(), request)
    assert batch[B].data == 7


def test_specified_locations_go_with_graphs():
    graph = points(gp.Node(1, [3.0, 5.0]))
    both = (image(), Points(graph)) + gp.MergeProvider() + gp.SpecifiedLocation([(3, 5)])
    batch = served(both, asking(A=((0, 0), (2, 2)), points=((0, 0), (2, 2))))
    assert batch[A].data.tolist() == [[6.0]]
    assert [tuple(node.location) for node in batch[POINTS].nodes] == [(1.0, 1.0)]


def test_padding_alone_can_be_asked_for():
    batch = served(image() + gp.Pad(A, None, value=5), asking(A=((20, 20), (2, 4))))
    assert batch[A].data.tolist() == [[5.0, 5.0]]


def test_as_type_asks_for_its_source():
    batch = served(image() + gp.AsType(A, np.uint8, B), asking(B=ROI))
    assert batch[B].data.dtype == np.uint8


def test_normalize_can_be_asked_for_its_dtype():
    request = asking(A=ROI)
    request[A].dtype = np.float32
    batch = served(image(data=IMAGE.astype(np.uint8)) + gp.Normalize(A), request)
    assert batch[A].data.dtype == np.float32


def test_ids_of_64_bits_are_told_apart():
    labels = np.array([[1, 2**32 + 1, 2**63, 2**63]], np.uint64)
    node = gp.AddAffinities([[0, -1]], LABELS, B)
    with_labels = source(LABELS, labels, (2, 2))
    batch = served(with_labels + node, asking(B=((0, 2), (2, 6))))
    assert batch[B].data.tolist() == [[[0, 0, 1]]]


@pytest.mark.parametrize("probs", [(1.0, 1.0), np.ones(2), {(1, 0): 1.0}], ids=type)
def test_transposing_takes_any_probabilities(probs):
    square = source(A, np.arange(9.0).reshape(3, 3), (2, 2))
    node = gp.SimpleAugment(mirror_only=[], transpose_probs=probs)
    batch = served(square + node, asking(A=((0, 0), (6, 6))))
    assert batch[A].data.tolist() == np.arange(9.0).reshape(3, 3).T.tolist()


@pytest.mark.parametrize("node", [gp.Squeeze, gp.Unsqueeze])
def test_axes_that_would_break_spatial_ones_are_refused(node):
    with pytest.raises(ValueError, match="got axis=-1; the last axes are spatial"):
        node([A], axis=-1)


class Unpicklable(gp.BatchFilter):
    def process(self, batch, request):
        error = ArithmeticError("mine")
        error.node, error.what = self, lambda: None
        raise error


@pytest.mark.parametrize("around", ["cache", "scan"])
def test_errors_of_workers_arrive_whatever_they_carry(around):
    node = gp.PreCache(num_workers=2) if around == "cache" else gp.Scan(asking(A=ROI), 2)
    with pytest.raises((ArithmeticError, gp.WorkerFailed), match="mine"):
        served(image() + Unpicklable() + node, asking(A=ROI))


def test_torch_takes_no_default_that_is_shared_and_refuses_what_is_no_key():
    torch = pytest.importorskip("torch")
    model = torch.nn.Conv2d(1, 1, 1)
    trains = [
        gp.torch.Train(model, None, None, {0: A}, {0: B}, {0: B}, device="cpu") for _ in range(2)
    ]
    assert trains[0].gradients is not trains[1].gradients
    with pytest.raises(TypeError, match="ArrayKeys, got 'x': 'loss'"):
        gp.torch.Predict(model, {"x": "loss"}, {0: B}, device="cpu")
