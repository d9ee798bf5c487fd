"""Keys are values, here and in every other process."""

import copy
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import voxflow as gp


def test_equal_by_kind_and_name():
    assert gp.ArrayKey("A") == gp.ArrayKey("A")
    assert hash(gp.ArrayKey("A")) == hash(gp.ArrayKey("A")) == gp.ArrayKey("A").hash
    assert gp.ArrayKey("A") != gp.ArrayKey("B")
    assert gp.GraphKey("A") == gp.GraphKey("A")


def test_an_array_is_no_graph_and_no_text():
    assert gp.ArrayKey("A") != gp.GraphKey("A")
    assert gp.ArrayKey("A") != "A"
    assert len({gp.ArrayKey("A"), gp.GraphKey("A"), "A"}) == 3


def test_one_object_for_each_kind_and_name():
    assert gp.ArrayKey("A") is gp.ArrayKey("A")
    assert gp.ArrayKey(np.str_("A")) is gp.ArrayKey("A")
    assert gp.ArrayKey("7") is gp.ArrayKey(7)


def test_threads_that_make_a_key_at_once_get_the_same():
    barrier = threading.Barrier(8)

    def make(round_):
        barrier.wait()
        return gp.ArrayKey(f"AT_ONCE_{round_}")

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(50):
            made = list(pool.map(make, [round_] * 8))
            assert all(key is made[0] for key in made)
            assert getattr(gp.ArrayKeys, f"AT_ONCE_{round_}") is made[0]


def test_the_name_is_the_text():
    assert repr(gp.ArrayKey("RAW")) == str(gp.ArrayKey("RAW")) == "RAW"
    assert gp.ArrayKey("RAW").identifier == "RAW"


def test_registered_by_name():
    array, graph = gp.ArrayKey("REGISTERED"), gp.GraphKey("REGISTERED")
    assert gp.ArrayKeys.REGISTERED is array
    assert gp.GraphKeys.REGISTERED is graph


@pytest.mark.parametrize("keys", [gp.ArrayKeys, gp.GraphKeys])
def test_unknown_names_are_attribute_errors_that_list_the_known(keys):
    gp.ArrayKey("KNOWN")
    gp.GraphKey("KNOWN")
    assert not hasattr(keys, "NEVER_MADE")
    with pytest.raises(AttributeError, match=r"no key named 'NEVER_MADE'.*KNOWN"):
        keys.NEVER_MADE  # noqa: B018


@pytest.mark.parametrize("name", ["identifier", "other"])
def test_frozen(name):
    with pytest.raises(TypeError, match="ArrayKey 'A' is a value"):
        setattr(gp.ArrayKey("A"), name, "B")


def test_copies():
    key = gp.GraphKey("A")
    assert copy.copy(key) is key
    assert copy.deepcopy([key])[0] is key
    assert pickle.loads(pickle.dumps(key)) is key


SCRIPT = """
import pickle, sys
import voxflow as gp
there = pickle.loads(bytes.fromhex(sys.argv[1]))
assert "SENT" in vars(gp.ArrayKeys)      # registered by unpickling
here = gp.ArrayKey("SENT")
assert there == {here: 1}
assert there[here] == 1                  # found by a key made here
print(pickle.dumps({here: 2}).hex())
"""


def test_found_in_dicts_from_processes_with_other_string_hashes():
    sent = pickle.dumps({gp.ArrayKey("SENT"): 1}).hex()
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT, sent],
        env={"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert pickle.loads(bytes.fromhex(made.stdout))[gp.ArrayKey("SENT")] == 2
