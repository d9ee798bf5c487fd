"""Arrays and graphs by key."""

import pickle

import numpy as np
import pytest

import voxflow as gp
from voxflow.pipeline.data import ReplayToken

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")
ROI = gp.Roi((0,), (10,))


def array(value=0, roi=ROI):
    return gp.Array(np.full(int(roi.shape[0]), value), gp.ArraySpec(roi, (1,)))


def graph(*places):
    nodes = [gp.Node(i, np.array([float(p)])) for i, p in enumerate(places)]
    return gp.Graph(nodes, [], gp.GraphSpec(ROI, directed=False))


def make():
    batch = gp.Batch()
    batch[RAW], batch[LABELS], batch[POINTS] = array(1), array(2), graph(1, 8)
    batch.loss, batch.iteration = np.array(0.5), 7
    batch.affinity_neighborhood = [[-1]]
    batch.token = ReplayToken("{}")
    return batch


def test_mapping():
    batch = make()
    assert len(batch) == 3
    assert [key for key, _ in batch.items()] == [RAW, LABELS, POINTS]
    assert RAW in batch
    assert gp.GraphKey("RAW") not in batch
    del batch[RAW]
    del batch[POINTS]
    assert [key for key, _ in batch.items()] == [LABELS]


def test_values_are_not_copied():
    batch, value = gp.Batch(), array()
    batch[RAW] = value
    assert batch[RAW] is value


def test_wrong_keys_and_values():
    batch = make()
    with pytest.raises(TypeError, match="an array needs an ArrayKey, got POINTS"):
        batch[POINTS] = array()
    with pytest.raises(TypeError, match="a graph needs a GraphKey, got RAW"):
        batch[RAW] = graph()
    with pytest.raises(RuntimeError, match="a batch holds Array and Graph, got ndarray"):
        batch[RAW] = np.zeros(3)
    for use in (lambda: batch["RAW"], lambda: "RAW" in batch):
        with pytest.raises(RuntimeError, match="only ArrayKey and GraphKey can be used here"):
            use()
    with pytest.raises(KeyError, match="OTHER is not in this batch, which holds: RAW, LABELS"):
        batch[gp.ArrayKey("OTHER")]
    with pytest.raises(KeyError, match="which holds: nothing"):
        del gp.Batch()[RAW]
    with pytest.raises(AttributeError):
        batch.other = 1


def test_total_region():
    batch = make()
    batch[gp.ArrayKey("LOSS")] = gp.Array(np.array(1.0), gp.ArraySpec(nonspatial=True))
    batch[LABELS] = array(roi=gp.Roi((20,), (5,)))
    assert batch.get_total_roi() == gp.Roi((0,), (25,))
    assert gp.Batch().get_total_roi() is None


def test_crop():
    batch = make()
    request = gp.BatchRequest({RAW: gp.Roi((2,), (3,)), POINTS: gp.Roi((0,), (5,))})
    cropped = batch.crop(request)
    assert [key for key, _ in cropped.items()] == [RAW, POINTS]
    assert cropped[RAW].spec.roi == gp.Roi((2,), (3,))
    assert np.shares_memory(cropped[RAW].data, batch[RAW].data)
    assert [node.id for node in cropped[POINTS].nodes] == [0]
    assert cropped.loss == 0.5
    assert cropped.iteration == 7
    assert cropped.affinity_neighborhood == [[-1]]
    assert cropped.token == batch.token
    assert cropped.profiling_stats is batch.profiling_stats
    # and the batch itself is as it was
    assert len(batch) == 3
    assert batch[RAW].spec.roi == ROI


def test_crop_with_copies():
    batch = make()
    for spec in (gp.Roi((2,), (3,)), ROI, gp.ArraySpec()):
        cropped = batch.crop(gp.BatchRequest({RAW: spec}), copy=True)
        assert not np.shares_memory(cropped[RAW].data, batch[RAW].data)


def test_crop_without_region_keeps_all():
    batch = make()
    assert batch.crop(gp.BatchRequest({RAW: gp.ArraySpec()}))[RAW] is batch[RAW]


def test_crop_says_what_is_missing():
    with pytest.raises(KeyError, match="OTHER is not in this batch"):
        make().crop(gp.BatchRequest({gp.ArrayKey("OTHER"): ROI}))
    with pytest.raises(ValueError, match="does not contain"):
        make().crop(gp.BatchRequest({RAW: gp.Roi((2,), (30,))}))


def test_merge():
    one, other = gp.Batch(), make()
    one[RAW], one[gp.ArrayKey("MINE")] = array(9), array(8)
    one.loss = 1.0
    one.profiling_stats.record("A", None, 0.0, 1.0)
    other.profiling_stats.record("B", None, 0.0, 1.0)
    merged = one.merge(other)
    assert {str(key) for key, _ in merged.items()} == {"RAW", "MINE", "LABELS", "POINTS"}
    assert merged[RAW] is other[RAW]
    assert merged.loss == 0.5
    assert merged.iteration == 7
    assert merged.affinity_neighborhood == [[-1]]
    assert set(merged.profiling_stats.get_timing_summaries()) == {("A", None), ("B", None)}
    # neither of the two is changed
    assert one[RAW].data[0] == 9
    assert len(one) == 2
    assert one.loss == 1.0
    assert set(one.profiling_stats.get_timing_summaries()) == {("A", None)}


def test_merge_keeps_what_the_other_does_not_say():
    merged = make().merge(gp.Batch(), merge_profiling_stats=False)
    assert (merged.loss, merged.iteration) == (0.5, 7)
    assert merged.token == ReplayToken("{}")


def test_pickle():
    batch = pickle.loads(pickle.dumps(make()))
    assert batch[RAW].data.tolist() == [1] * 10
    assert batch.iteration == 7
    assert batch.token == ReplayToken("{}")


def test_repr():
    lines = repr(make()).splitlines()
    assert lines[1] == f"\tRAW: {array().spec}"
    assert len(lines) == 4
