"""A full disk is an error, however small what finds no room."""

import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from voxflow.stores.whole_arrays import save_array, write_bytes_of

KINDS = arrays.boolean_dtypes() | arrays.integer_dtypes() | arrays.floating_dtypes()


@given(arrays.arrays(KINDS, arrays.array_shapes(min_dims=0, min_side=0)))
def test_numpy_loads_what_was_saved(values):
    for given_values in (values, values.T):
        file = io.BytesIO()
        save_array(file, given_values)
        file.seek(0)
        loaded = np.load(file)
        assert (loaded.dtype, loaded.shape) == (given_values.dtype, given_values.shape)
        np.testing.assert_array_equal(loaded, given_values)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize("size", [1, 100, 10**5])
@pytest.mark.parametrize("write", [write_bytes_of, save_array])
def test_a_full_disk_is_an_error(write, size, buffering):
    with (
        pytest.raises(OSError, match="No space left"),
        open("/dev/full", "wb", buffering=buffering) as file,
    ):
        write(file, np.zeros(size, np.int64))


def test_what_is_taken_in_parts_is_written_whole():
    class Takes(io.BytesIO):
        def write(self, data):
            return super().write(data[:5])

    file = Takes()
    write_bytes_of(file, np.arange(100))
    assert file.getvalue() == np.arange(100).tobytes()
