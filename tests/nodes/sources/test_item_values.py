import h5py
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import source
from voxflow.pipeline.engine.errors import RequestRefused
from voxflow.stores import open_dataset

RAW, CLASS = gp.ArrayKey("RAW"), gp.ArrayKey("CLASS")


def stack(values, voxel=(1, 2, 2), offset=(-4, 0, 0), axis=0, n=6):
    shape = [8, 8, 8]
    shape[axis] = n
    index = np.arange(n).reshape([-1 if a == axis else 1 for a in range(3)])
    data = np.broadcast_to(index, shape).astype(np.float32)
    return source(RAW, data, voxel, offset) + gp.ItemValues(CLASS, values, RAW, axis)


def asked(shape, placeholder=False):
    request = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), shape)})
    request[RAW].placeholder = placeholder
    request[CLASS] = gp.ArraySpec(nonspatial=True)
    return request


@pytest.mark.parametrize(("axis", "shape"), [(0, (1, 6, 6)), (1, (3, 2, 6)), (2, (4, 8, 2))])
def test_the_label_of_a_patch_is_that_of_its_image(axis, shape):
    values = np.array([5, 0, 2, 2**63, 2**64 - 1, 7], np.uint64)
    pipeline = stack(values, axis=axis) + gp.RandomLocation() + gp.Stack(4)
    seen = set()
    with gp.build(pipeline, seed=1) as built:
        for _ in range(20):
            batch = built.request_batch(asked(shape))
            assert batch[CLASS].data.shape == (4,)
            item = batch[RAW].data.reshape(4, -1)
            assert (item == item[:, :1]).all()
            np.testing.assert_array_equal(batch[CLASS].data, values[item[:, 0].astype(int)])
            seen |= set(item[:, 0])
    assert seen == set(range(6))


def test_vectors_and_patches_through_several_images():
    values = np.arange(12.0).reshape(6, 2)
    with gp.build(stack(values) + gp.RandomLocation(), seed=1) as built:
        batch = built.request_batch(asked((3, 2, 2)))
        first = int(batch[RAW].data[0, 0, 0])
        np.testing.assert_array_equal(batch[CLASS].data, values[first : first + 3])
        one = built.request_batch(asked((1, 2, 2), placeholder=True))
        assert RAW not in one
        assert one[CLASS].data.shape == (2,)


def test_values_from_a_file(tmp_path):
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        file.create_dataset("lab", data=np.arange(6, dtype=np.int16) * 3, compression="gzip")
    values = open_dataset(tmp_path / "labels.h5", "lab", missing_chunks="fill")
    with gp.build(stack(values) + gp.RandomLocation(), seed=2) as built:
        batch = built.request_batch(asked((1, 4, 4)))
    assert batch[CLASS].data == batch[RAW].data[0, 0, 0] * 3
    assert batch[CLASS].data.dtype == np.int16


def test_what_a_consumer_does_to_them_changes_nothing():
    values = np.arange(12.0).reshape(6, 2)
    with gp.build(stack(values), seed=1) as built:
        request = asked((1, 2, 2))
        request[RAW].roi = gp.Roi((-4, 0, 0), (1, 2, 2))
        built.request_batch(request)[CLASS].data[:] = -1
        assert built.request_batch(request)[CLASS].data.tolist() == [0, 1]


def test_the_images_have_to_be_in_the_request():
    with (
        gp.build(stack(range(6))) as built,
        pytest.raises(RequestRefused, match="RAW, which is not in the request"),
    ):
        built.check(gp.BatchRequest({CLASS: gp.ArraySpec(nonspatial=True)}))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: stack(range(5)), "5 values for 6 images of RAW along axis 0"),
        (lambda: stack(range(6), axis=0) + gp.ItemValues(CLASS, [1], RAW, 3), "along axis 3"),
        (
            lambda: (
                source(RAW, np.zeros((2, 4, 4)), (1, 1, 1))
                + gp.RandomLocation()
                + gp.ItemValues(CLASS, [1, 2], RAW)
            ),
            "upstream of nodes that choose locations",
        ),
    ],
)
def test_refuses_values_that_do_not_fit(make, text):
    with pytest.raises(gp.PipelineSetupError, match=text), gp.build(make()):
        pass
    with pytest.raises(TypeError, match="takes ArrayKeys"):
        gp.ItemValues("CLASS", [1], RAW)
