import sys
from types import ModuleType

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, specs

RAW, LABELS, MASK = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")
VOLUME = np.arange(40 * 40 * 40, dtype=np.uint64).reshape(40, 40, 40)
INFO = {"VoxelSize": [8.0, 4.5, 40.0], "MinPoint": [3, 2, 1], "MaxPoint": [12, 11, 5]}


@pytest.fixture
def server(monkeypatch):
    """What dvision offers, for a server that is a dict."""
    module = ModuleType("dvision")
    module.instances = {
        "gray": {**INFO, "Values": [{"DataType": "uint8"}]},
        "segments": {**INFO, "Values": [{"DataType": "uint64"}]},
        "empty": {**INFO, "MaxPoint": None, "Values": [{"DataType": "uint64"}]},
        "coarse": {**INFO, "VoxelSize": [8, 8, 40], "Values": [{"DataType": "uint64"}]},
    }

    class DVIDDataInstance:
        def __init__(self, hostname, port, uuid, name):
            assert (hostname, port, uuid) == ("host", 8000, "a1")
            self.info = {"Extended": module.instances[name]}

        def __getitem__(self, slices):
            dtype = self.info["Extended"]["Values"][0]["DataType"]
            return VOLUME[slices].astype(dtype)

    class DVIDRegionOfInterest:
        def __init__(self, hostname, port, uuid, name):
            assert name == "tissue"

        def __getitem__(self, slices):
            return VOLUME[slices] % 2  # uint64, as it comes

    module.DVIDDataInstance, module.DVIDRegionOfInterest = DVIDDataInstance, DVIDRegionOfInterest
    monkeypatch.setitem(sys.modules, "dvision", module)
    return module


def source(datasets, masks=None, array_specs=None):
    return gp.DvidSource("host", 8000, "a1", datasets, masks, array_specs)


def test_regions(server):
    node = source({RAW: "gray", LABELS: "segments"}, {MASK: "tissue"})
    roi = gp.Roi((40, 9, 24), (200, 45, 80))
    with specs(node) as spec:
        assert spec[RAW] == gp.ArraySpec(roi, (40, 4.5, 8), True, dtype=np.uint8)
        assert spec[LABELS] == gp.ArraySpec(roi, (40, 4.5, 8), False, dtype=np.uint64)
        assert spec[MASK] == gp.ArraySpec(roi, (40, 4.5, 8), False, dtype=np.uint8)
    part = ((80, 13.5, 32), (40, 9, 24))
    batch = served(node, asking(RAW=part, LABELS=part, MASK=part))
    expected = VOLUME[2:3, 3:5, 4:7]
    np.testing.assert_array_equal(batch[RAW].data, expected.astype(np.uint8))
    np.testing.assert_array_equal(batch[LABELS].data, expected)
    np.testing.assert_array_equal(batch[MASK].data, expected % 2)
    assert batch[MASK].data.dtype == np.uint8
    assert node.name() == "DvidSource[host:8000/a1]"


def test_the_spec_wins(server):
    own = gp.ArraySpec(gp.Roi((0, 0, 0), (5, 10, 10)), (1, 1, 1), interpolatable=True)
    node = source({LABELS: "segments"}, array_specs={LABELS: own})
    batch = served(node, asking(LABELS=((1, 0, 2), (2, 1, 1))))
    np.testing.assert_array_equal(batch[LABELS].data, VOLUME[2:4, 2:3, 5:6])
    assert batch[LABELS].spec.interpolatable is True


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (({LABELS: "empty"},), "does not say where 'empty' lies"),
        (({LABELS: "segments"}, None, {LABELS: gp.ArraySpec(dtype="uint8")}), "AsType"),
        (
            ({LABELS: "segments"}, None, {LABELS: gp.ArraySpec(gp.Roi((0, 0, 0), (40, 9, 8)))}),
            "covers",
        ),
        (({}, {MASK: "tissue"}), "there are none"),
        (({RAW: "gray", LABELS: "coarse"}, {MASK: "tissue"}), "voxels of the datasets"),
    ],
)
def test_mistakes_are_found_at_setup(server, options, text):
    with pytest.raises(ValueError, match=text), gp.build(source(*options)):
        pass


def test_keys():
    with pytest.raises(TypeError, match="ArrayKeys"):
        source({gp.GraphKey("points"): "gray"})


def test_without_dvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "dvision", None)
    with (
        pytest.raises(ImportError, match="package dvision, which is not installed"),
        gp.build(source({RAW: "gray"})),
    ):
        pass
