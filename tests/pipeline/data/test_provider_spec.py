"""Specs by key."""

import funlib.geometry
import pytest

import voxflow as gp

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")


def make(**rois):
    spec = gp.ProviderSpec()
    for name, roi in rois.items():
        key = POINTS if name == "POINTS" else gp.ArrayKey(name)
        spec[key] = gp.Roi(*roi)
    return spec


def test_either_mapping_holds_both_kinds():
    spec = gp.ProviderSpec({POINTS: gp.GraphSpec()}, {RAW: gp.ArraySpec()})
    assert list(spec.array_specs) == [RAW]
    assert list(spec.graph_specs) == [POINTS]


def test_regions_become_specs():
    spec = gp.ProviderSpec({RAW: gp.Roi((0,), (4,)), POINTS: funlib.geometry.Roi((0,), (4,))})
    assert spec[RAW] == gp.ArraySpec(gp.Roi((0,), (4,)))
    assert spec[POINTS] == gp.GraphSpec(gp.Roi((0,), (4,)))


def test_specs_are_copied():
    given = gp.ArraySpec(gp.Roi((0,), (4,)))
    spec = gp.ProviderSpec({RAW: given})
    spec[RAW].roi = None
    assert given.roi is not None
    other = spec.copy()
    other[RAW].dtype = "uint8"
    assert spec[RAW].dtype is None


def test_mapping():
    spec = gp.ProviderSpec({RAW: gp.ArraySpec(), LABELS: gp.ArraySpec(), POINTS: gp.GraphSpec()})
    assert len(spec) == 3
    assert list(spec) == spec.keys() == [key for key, _ in spec.items()] == [RAW, LABELS, POINTS]
    del spec[RAW]
    del spec[POINTS]
    assert RAW not in spec
    assert POINTS not in spec
    assert spec.keys() == [LABELS]
    assert spec.get(RAW) is None
    assert spec.get(LABELS) == gp.ArraySpec()


def test_a_missing_key_says_what_there_is():
    with pytest.raises(KeyError, match="no spec for LABELS here; there is: RAW"):
        gp.ProviderSpec({RAW: gp.ArraySpec()})[LABELS]
    with pytest.raises(KeyError, match="there is: nothing"):
        del gp.ProviderSpec()[LABELS]


@pytest.mark.parametrize(
    "use",
    [
        lambda spec: spec["RAW"],
        lambda spec: "RAW" in spec,
        lambda spec: spec.__setitem__("RAW", gp.ArraySpec()),
        lambda spec: spec.__delitem__("RAW"),
    ],
)
def test_only_keys_are_keys(use):
    with pytest.raises(
        RuntimeError, match="only ArrayKey and GraphKey can be used here, got 'RAW'"
    ):
        use(gp.ProviderSpec({RAW: gp.ArraySpec()}))


def test_wrong_kinds_of_spec():
    with pytest.raises(TypeError, match="ArrayKey RAW takes an ArraySpec or a Roi, got GraphSpec"):
        gp.ProviderSpec({RAW: gp.GraphSpec()})
    with pytest.raises(TypeError, match="GraphKey POINTS takes an? GraphSpec or a Roi"):
        gp.ProviderSpec({POINTS: gp.ArraySpec()})
    with pytest.raises(TypeError, match="got tuple"):
        gp.ProviderSpec({RAW: (10, 10)})


def test_remove_placeholders():
    spec = gp.ProviderSpec(
        {
            RAW: gp.ArraySpec(placeholder=True),
            LABELS: gp.ArraySpec(),
            POINTS: gp.GraphSpec(placeholder=True),
        }
    )
    spec.remove_placeholders()
    assert spec.keys() == [LABELS]


def test_total_and_common_region():
    spec = make(RAW=((0,), (10,)), LABELS=((5,), (10,)))
    spec[POINTS] = gp.GraphSpec()
    assert spec.get_total_roi() == gp.Roi((0,), (15,))
    assert spec.get_common_roi() == gp.Roi((5,), (5,))
    assert gp.ProviderSpec().get_total_roi() is None
    assert gp.ProviderSpec({RAW: gp.ArraySpec()}).get_common_roi() is None


def test_lcm_of_voxel_sizes():
    spec = gp.ProviderSpec(
        {
            RAW: gp.ArraySpec(voxel_size=(4, 9.8)),
            LABELS: gp.ArraySpec(voxel_size=(6, 4.9)),
            gp.ArrayKey("LOSS"): gp.ArraySpec(nonspatial=True),
            POINTS: gp.GraphSpec(),
        }
    )
    assert spec.get_lcm_voxel_size() == gp.Coordinate(12, 9.8)
    assert spec.get_lcm_voxel_size([RAW]) == gp.Coordinate(4, 9.8)
    assert spec.get_lcm_voxel_size([POINTS]) is None
    assert gp.ProviderSpec().get_lcm_voxel_size() is None
    with pytest.raises(KeyError, match="OTHER"):
        spec.get_lcm_voxel_size([gp.ArrayKey("OTHER")])


def test_equality():
    spec, request = make(RAW=((0,), (10,))), gp.BatchRequest({RAW: gp.Roi((0,), (10,))})
    assert spec == make(RAW=((0,), (10,)))
    assert spec != make(RAW=((0,), (11,)))
    assert spec != request
    assert request != spec
    assert spec != {RAW: gp.Roi((0,), (10,))}
    with pytest.raises(TypeError):
        hash(spec)


def test_repr():
    spec = make(RAW=((0,), (10,)), POINTS=((0,), (5,)))
    assert repr(spec).splitlines() == ["", f"\tRAW: {spec[RAW]}", f"\tPOINTS: {spec[POINTS]}"]
    assert repr(gp.ProviderSpec()) == ""
