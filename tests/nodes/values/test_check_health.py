import json
import pickle

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import served, source

RAW, OTHER = gp.ArrayKey("RAW"), gp.ArrayKey("OTHER")


def asked(image, voxel_size=(40, 4, 4), roi=None, write=None, **options):
    """The array after the node, which is asked for a region in voxels; it may own a part of it."""
    size = gp.Coordinate(voxel_size)
    roi = gp.Roi((0,) * len(size), image.shape[-len(size) :]) if roi is None else roi
    request = gp.BatchRequest({RAW: roi * size})
    if write is not None:
        request.write_rois = {RAW: write * size}
    node = gp.CheckHealth(RAW, **options)
    return served(source(RAW, image, size) + node, request)[RAW]


def found(image, *args, **options):
    return asked(image, *args, **options).attrs.get("health")


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


@pytest.mark.parametrize("shape", [(5, 6, 7), (2, 4, 5, 6)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "uint64"])
def test_nothing_is_said_of_what_is_well(shape, dtype):
    image = noise(*shape, dtype=dtype)
    array = asked(image)
    assert "health" not in array.attrs
    np.testing.assert_array_equal(array.data, image)


def test_not_numbers():
    image = noise(3, 4, 5, dtype=np.float32)
    image[0, 0, :2], image[1, 1, 1] = np.nan, -np.inf
    assert found(image) == {"nan": 2, "inf": 1}
    assert found(image, checks=["empty"]) is None


def test_saturated():
    image = noise(2, 5, 10)
    image[:, :, 1:] = 255
    assert found(image) is None  # a share of 0.9 is not above 0.9
    assert found(image, saturation=0.85) == {"highest": 0.9}
    image[image < 255] = 255
    image[0, 0, 0] = 0
    assert found(image) == {"highest": 0.99}
    assert found(image, value_range=(0, 300)) is None
    assert found(image == 255) is None


def test_floats_are_saturated_at_what_is_given():
    image = np.linspace(-1, 3, 60, dtype=np.float32).reshape(3, 4, 5)
    assert found(image, saturation=0.2) is None
    assert found(image, saturation=0.2, value_range=(0, 1)) == {"lowest": 0.25, "highest": 0.5}


@pytest.mark.parametrize("value", [0, 7, 2**64 - 1])
def test_empty(value):
    image = np.full((2, 3, 4), value, np.uint64)
    assert found(image, checks=("empty", "repeated")) == {"empty": value}
    assert found(np.full((3, 4), np.inf), (4, 4), checks=("empty",)) == {"empty": "inf"}


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_repeated_sections(lead):
    image = noise(*lead, 6, 4, 5)
    image[..., 2, :, :] = image[..., 3, :, :]
    image[..., 4, :, :] = image[..., 5, :, :] = 9  # the same, but nothing is there
    assert found(image) == {"repeated": 1, "repeated_at": 80}
    image[..., 1, :, :] = image[..., 2, :, :]
    assert found(image, roi=gp.Roi((1, 0, 0), (4, 3, 2))) == {"repeated": 2, "repeated_at": 40}
    if lead:
        image[0, ..., 2, 0, 0] += 1  # one channel is enough
        assert found(image) is None


def test_repeated_rows_of_a_plane():
    image = noise(5, 7)
    image[3] = image[4]
    assert found(image, (9.8, 4)) == {"repeated": 1, "repeated_at": 29.4}


def test_findings_can_be_written_as_json():
    image = np.full((3, 4, 5), np.nan)
    image[1:] = np.arange(20).reshape(4, 5)
    health = found(image, (9.8, 4, 4), saturation=0.0, value_range=(0, 19))
    assert json.loads(json.dumps(health, allow_nan=False)) == health
    assert health.keys() == {"nan", "lowest", "highest", "repeated", "repeated_at"}


def test_only_what_is_asked_for_and_owned():
    image = noise(6, 4, 4, dtype=np.float32)
    image[0, 0, 0] = np.nan
    image[4, 0, 0] = np.nan
    inner = gp.Roi((1, 0, 0), (4, 4, 4))
    assert found(image) == {"nan": 2}
    assert found(image, roi=inner) == {"nan": 1}
    assert found(image, roi=inner, write=gp.Roi((1, 0, 0), (3, 4, 4))) is None
    assert found(image, write=gp.Roi((4, 0, 0), (1, 9, 9))) == {"nan": 1}
    assert found(image, write=gp.Roi((6, 0, 0), (1, 4, 4))) is None


def test_two_nodes_add_up():
    image = noise(3, 4, 5, dtype=np.float32)
    image[0], image[1] = np.nan, image[2]
    nodes = gp.CheckHealth(RAW, checks=["nan"]) + gp.CheckHealth(RAW, checks=["repeated"])
    request = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (3, 4, 5))})
    health = served(source(RAW, image, (1, 1, 1)) + nodes, request)[RAW].attrs["health"]
    assert health == {"nan": 20, "repeated": 1, "repeated_at": 1}


@pytest.mark.parametrize(
    ("policy", "kind", "stops"),
    [("skip", gp.UnhealthyBlock, False), ("stop", gp.UnhealthyStop, True)],
)
def test_errors_say_where_and_what(policy, kind, stops):
    image = noise(3, 4, 5, dtype=np.float32)
    image[1, 1, 1] = np.nan
    image[2] = image[0]
    with pytest.raises(kind, match=r"CheckHealth: RAW in \[40:120, 0:16, 0:20\]") as caught:
        asked(image, roi=gp.Roi((1, 0, 0), (2, 4, 5)), policy=policy)
    error = pickle.loads(pickle.dumps(caught.value))
    assert "1 voxels are not a number" in str(error)
    assert f"policy={policy!r}" in str(error)
    assert (error.stops, error.worth_retrying) == (stops, False)
    assert (error.array, error.findings) == ("RAW", {"nan": 1})
    assert error.roi == gp.Roi((40, 0, 0), (80, 16, 20))
    assert isinstance(error, gp.PipelineRequestError)
    assert type(error).__name__ == kind.__name__


def test_what_is_refused_is_not_written(tmp_path):
    image = noise(4, 4, 4, dtype=np.float32)
    image[2, 0, 0] = np.nan
    path = tmp_path / "out.zarr"
    pipeline = (
        source(RAW, image, (1, 1, 1))
        + gp.CheckHealth(RAW, "skip")
        + gp.ZarrWrite({RAW: "raw"}, str(tmp_path), "out.zarr")
    )
    with gp.build(pipeline):
        pipeline.request_batch(gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (2, 4, 4))}))
        with pytest.raises(gp.UnhealthyBlock):
            pipeline.request_batch(gp.BatchRequest({RAW: gp.Roi((2, 0, 0), (2, 4, 4))}))
    written = gp.stores.open_dataset(path, "raw", missing_chunks="fill")
    kept = written.read((slice(0, 4),) * 3)
    np.testing.assert_array_equal(kept[:2], image[:2])
    assert not kept[2:].any()


def test_marks_are_not_stored_with_the_dataset(tmp_path):
    image = np.zeros((4, 4, 4), np.float32)
    pipeline = (
        source(RAW, image, (1, 1, 1))
        + gp.CheckHealth(RAW)
        + gp.ZarrWrite({RAW: "raw"}, str(tmp_path), "out.zarr")
    )
    request = gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (4, 4, 4))})
    assert served(pipeline, request)[RAW].attrs["health"] == {"empty": 0.0}
    assert "health" not in gp.stores.open_dataset(tmp_path / "out.zarr", "raw").attrs


def test_a_writer_upstream_is_refused(tmp_path):
    def line(policy, key=RAW):
        write = gp.ZarrWrite({RAW: "raw"}, str(tmp_path), "out.zarr")
        sources = (
            source(RAW, noise(2, 3, 3), (1, 1, 1)),
            source(OTHER, noise(2, 3, 3), (1, 1, 1)),
        )
        return sources + gp.MergeProvider() + write + gp.CheckHealth(key, policy)

    with pytest.raises(gp.PipelineSetupError, match="written before it is looked at"):
        served(line("skip"), gp.BatchRequest())
    for fine in (line("mark"), line("stop", OTHER)):
        with gp.build(fine):
            pass


def test_arrays_without_a_place():
    image = np.array([[1.0, 1.0], [1.0, np.nan]])
    line = gp.ArraySource(RAW, gp.Array(image, gp.ArraySpec(nonspatial=True)))
    request = gp.BatchRequest({RAW: gp.ArraySpec(nonspatial=True)})
    assert served(line + gp.CheckHealth(RAW), request)[RAW].attrs["health"] == {"nan": 1}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"policy": "shout"}, "policy has to be 'mark', 'skip' or 'stop', got 'shout'"),
        ({"saturation": 1.5}, "a share of voxels, from 0 to 1, got 1.5"),
        ({"value_range": (1, 1)}, "value_range is"),
        ({"checks": ()}, "checks are some of nan, saturated, empty, repeated"),
        ({"checks": ("nan", "noise")}, "'noise'"),
    ],
)
def test_bad_arguments(options, text):
    with pytest.raises(ValueError, match=text):
        gp.CheckHealth(RAW, **options)


def test_complex_values():
    with pytest.raises(TypeError, match="RAW, which is complex64"):
        asked(np.zeros((2, 3, 4), np.complex64))


def test_an_array_that_is_used_again_has_no_marks_of_another_block():
    class Again(gp.BatchFilter):
        """Gives one array out again and again."""

        array = None

        def process(self, batch, request):
            self.array = self.array or batch[RAW]
            self.array.data, self.array.spec = batch[RAW].data, batch[RAW].spec
            batch[RAW] = self.array

    image = np.arange(8, dtype=np.float32)
    image[5] = np.nan
    nodes = source(RAW, image, (1,)) + Again() + gp.CheckHealth(RAW)
    with gp.build(nodes) as built:
        marks = [
            built.request_batch(gp.BatchRequest({RAW: gp.Roi((begin,), (2,))}))[RAW].attrs
            for begin in (0, 4, 6)
        ]
    assert marks == [{}, {"health": {"nan": 1}}, {}]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_is_put_together_of_blocks_has_what_was_found_in_all(num_workers):
    image = np.arange(24, dtype=np.float32)
    image[[9, 10, 17]] = np.nan
    scan = gp.Scan(
        gp.BatchRequest({RAW: gp.Roi((0,), (4,))}),
        num_workers,
        progress_callback=gp.ScanCallback(),
        method="thread",
    )
    request = gp.BatchRequest({RAW: gp.Roi((0,), (24,))})
    array = served(source(RAW, image, (1,)) + gp.CheckHealth(RAW) + scan, request)[RAW]
    assert array.attrs["health"] == {"nan": 3}
