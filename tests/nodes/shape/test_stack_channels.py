import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source, specs

A, B, IMAGE = (gp.ArrayKey(name) for name in ("A", "B", "IMAGE"))
DATA = np.arange(2 * 3 * 6 * 8, dtype=np.uint16).reshape(2, 3, 6, 8)


def two(first, second, voxel_size=(4, 2), begin=(0, 0)):
    sources = source(A, first, (4, 2)), source(B, second, voxel_size, begin)
    return sources + gp.MergeProvider() + gp.StackChannels([A, B], IMAGE)


@pytest.mark.parametrize("voxel_size", [(4, 2), (5, 4, 2)])
def test_each_channel_is_its_source(voxel_size):
    sources = source(A, DATA[0], voxel_size), source(B, DATA[1], voxel_size)
    pipeline = sources + gp.MergeProvider() + gp.StackChannels([B, A], IMAGE)
    size = gp.Coordinate(voxel_size)
    roi = gp.Roi(size, size * gp.Coordinate((2,) * len(size)))
    batch = served(pipeline, asking(IMAGE=roi))
    cut = (..., *(slice(1, 3),) * len(size))
    np.testing.assert_array_equal(batch[IMAGE].data, DATA[::-1][(slice(None), *cut)])
    assert batch[IMAGE].spec.voxel_size == size
    assert A not in batch


def test_common_region_and_larger_channels():
    pipeline = two(DATA[0, 0], DATA[1, 0], begin=(8, 0))
    with specs(pipeline) as spec:
        assert spec[IMAGE].roi == gp.Roi((8, 0), (16, 16))
        assert spec[IMAGE].dtype == np.uint16
    batch = served(pipeline, asking(IMAGE=((12, 2), (8, 4)), A=((0, 0), (24, 16))))
    np.testing.assert_array_equal(batch[IMAGE].data, [DATA[0, 0, 3:5, 1:3], DATA[1, 0, 1:3, 1:3]])
    assert batch[A].shape == (6, 8)


def test_vectors():
    spec = gp.ArraySpec(nonspatial=True)
    sources = tuple(
        gp.ArraySource(k, gp.Array(np.arange(3) + i, spec)) for i, k in ((0, A), (5, B))
    )
    request = gp.BatchRequest()
    request[IMAGE] = gp.ArraySpec(nonspatial=True)
    pipeline = sources + gp.MergeProvider() + gp.StackChannels([A, B], IMAGE)
    assert served(pipeline, request)[IMAGE].data.tolist() == [[0, 1, 2], [5, 6, 7]]


def test_mistakes():
    with pytest.raises(TypeError, match="ArrayKeys"):
        gp.StackChannels(["A"], IMAGE)
    with pytest.raises(ValueError, match="at least one"):
        gp.StackChannels([], IMAGE)
    for other, options, text in (
        (DATA[1, 0], {"voxel_size": (4, 4)}, r"voxel_size differs: A: \(4, 2\), B: \(4, 4\)"),
        (DATA[1, 0].astype(np.uint8), {}, "dtype differs"),
        (DATA[1, 0], {"begin": (400, 0)}, "no region in common"),
    ):
        with pytest.raises(gp.PipelineSetupError, match=text):
            with gp.build(two(DATA[0, 0], other, **options)):
                pass
