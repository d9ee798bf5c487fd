import numpy as np
import pytest
import torch

from voxflow.torch.tensors import to_array, to_tensor


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, torch.uint8),
        (np.uint16, torch.int32),
        (np.uint32, torch.int64),
        (np.uint64, torch.int64),
        (np.int8, torch.int8),
        (np.int64, torch.int64),
        (np.float16, torch.float16),
        (np.float32, torch.float32),
        (np.float64, torch.float64),
        (np.bool_, torch.bool),
        (">i4", torch.int32),
        (">u2", torch.int32),
        (">f4", torch.float32),
    ],
)
def test_every_dtype_has_its_tensor(dtype, expected):
    data = np.array([[0, 1], [1, 100]]).astype(dtype)
    tensor = to_tensor(data)
    assert tensor.dtype == expected
    np.testing.assert_array_equal(tensor.numpy(), data)


def test_the_largest_values_stay():
    assert to_tensor(np.array([2**16 - 1], np.uint16)).item() == 2**16 - 1
    assert to_tensor(np.array([2**32 - 1], np.uint32)).item() == 2**32 - 1
    assert to_tensor(np.array([2**63 - 1], np.uint64)).item() == 2**63 - 1


def test_an_id_that_is_too_large_is_refused():
    with pytest.raises(OverflowError, match=f"{2**63} does not fit into int64; renumber"):
        to_tensor(np.array([1, 2**63], np.uint64))
    assert to_tensor(np.zeros((0, 3), np.uint64)).shape == (0, 3)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a[..., ::-1],
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: a.T,
        lambda a: a[::2],
    ],
)
def test_views_are_taken(view):
    data = view(np.arange(12.0).reshape(3, 4))
    tensor = to_tensor(data)
    np.testing.assert_array_equal(tensor.numpy(), data)
    tensor += 1  # never into memory that is not ours


def test_nothing_is_copied_that_need_not_be():
    data = np.zeros((2, 3), np.float32)
    to_tensor(data)[0, 0] = 7
    assert data[0, 0] == 7
    fixed = np.zeros(3)
    fixed.flags.writeable = False
    to_tensor(fixed)[0] = 1
    assert fixed[0] == 0


def test_tensors_become_arrays():
    tensor = torch.ones(2, requires_grad=True) * 2
    assert to_array(tensor).tolist() == [2, 2]
    assert to_array(torch.tensor([1.5], dtype=torch.bfloat16)).dtype == np.float32
    assert to_array(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]
