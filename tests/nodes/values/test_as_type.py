import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

RAW, CAST = gp.ArrayKey("RAW"), gp.ArrayKey("CAST")


def cast(data, dtype, request=None, **kwargs):
    pipeline = source(RAW, np.asarray(data), (2,)) + gp.AsType(RAW, dtype, **kwargs)
    return served(pipeline, request or asking(RAW=((0,), (2 * len(data),))))


def test_casts_in_place_and_says_so():
    with gp.build(source(RAW, np.arange(3.0), (2,)) + gp.AsType(RAW, "uint8")) as pipeline:
        assert pipeline.spec[RAW].dtype == np.uint8
        array = pipeline.request_batch(asking(RAW=((2,), (4,))))[RAW]
    assert array.spec.dtype == array.data.dtype == np.uint8
    assert array.data.tolist() == [1, 2]


def test_asks_for_its_source_when_only_the_target_is_wanted():
    batch = cast([1.9, -1.9], "int16", asking(CAST=((0,), (4,))), target=CAST)
    assert batch[CAST].data.tolist() == [1, -1]
    assert RAW not in batch


def test_serves_source_and_target_of_different_regions():
    batch = cast([1.5, 2.5, 3.5], "uint8", asking(RAW=((0,), (4,)), CAST=((2,), (4,))), target=CAST)
    assert batch[RAW].data.tolist() == [1.5, 2.5]
    assert batch[CAST].data.tolist() == [2, 3]


def test_serves_the_dtype_that_is_asked_for():
    wanted = gp.ArraySpec(gp.Roi((0,), (4,)), dtype=np.float32)
    assert cast([1, 2], np.float32, asking(RAW=wanted))[RAW].data.dtype == np.float32


def test_asking_for_another_dtype_says_what_there_is():
    wanted = gp.ArraySpec(gp.Roi((0,), (4,)), dtype=np.float64)
    with pytest.raises(gp.PipelineRequestError, match=r"RAW: float64 was asked, float32 came"):
        cast([1, 2], np.float32, asking(RAW=wanted))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([256], "uint8"),
        ([-1], "uint64"),
        ([2**63], "int64"),
        ([np.nan], "uint8"),
        ([256.0], "uint8"),
        ([float(2**64)], "uint64"),
        ([np.float32(2**31)], "int32"),
    ],
)
def test_values_out_of_range_are_an_error(values, dtype):
    data = np.array(values, np.uint64) if values == [2**63] else np.array(values)
    with pytest.raises(ValueError, match=rf"RAW.*{dtype} holds \["):
        cast(data, dtype)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (np.array([255.9, -0.9]), "uint8"),
        (np.array([2**63 - 1, 0]), "uint64"),
        (np.array([2**64 - 1], np.uint64), "float32"),
        (np.array([2.5, 0.0]), "bool"),
        (np.array([True, False]), "uint8"),
    ],
)
def test_values_in_range_are_cast_as_numpy_does(data, dtype):
    np.testing.assert_array_equal(cast(data, dtype)[RAW].data, data.astype(dtype))


def test_keys_and_dtypes_are_checked_at_once():
    with pytest.raises(TypeError, match="source has to be an ArrayKey, got 'RAW'"):
        gp.AsType("RAW", "uint8")
    with pytest.raises(TypeError, match="target has to be an ArrayKey"):
        gp.AsType(RAW, "uint8", gp.GraphKey("G"))
    with pytest.raises(TypeError):
        gp.AsType(RAW, "no such dtype")


def test_a_key_that_is_not_there_is_named():
    with (
        pytest.raises(gp.PipelineSetupError, match=r"no spec for CAST here; there is: RAW"),
        gp.build(source(RAW, np.zeros(2), (1,)) + gp.AsType(CAST, "uint8")),
    ):
        pass


def test_it_makes_an_array_of_its_own_for_the_same_type_too():
    volume = np.arange(4, dtype=np.uint8)

    class Own(gp.BatchProvider):
        """Hands out its own voxels."""

        def setup(self):
            self.provides(RAW, gp.ArraySpec(gp.Roi((0,), (4,)), (1,), dtype=np.uint8))

        def provide(self, request):
            batch = gp.Batch()
            batch[RAW] = gp.Array(volume, self.spec[RAW])
            return batch

    class Masks(gp.BatchFilter):
        def process(self, batch, request):
            batch[RAW].data[:] = 0

    served(Own() + gp.AsType(RAW, np.uint8) + Masks(), asking(RAW=((0,), (4,))))
    assert volume.tolist() == [0, 1, 2, 3]
