"""Batches of a training are written with their loss, can be made again, and change nothing."""

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET
from tests.training.sessions import Losses, pipeline, same, session, weights
from voxflow.stores import open_attrs, open_dataset, read_geometry
from voxflow.training import Snapshots, read_events


def test_a_snapshot_has_the_batch_its_loss_and_what_the_network_makes_of_it(tmp_path):
    plain, losses = Losses(), Losses()
    untouched = session(hooks=[plain], stop_after=5)
    untouched.run()
    made = session(hooks=[Snapshots(every=2), losses], stop_after=5, run_dir=tmp_path)
    made.run()
    assert same(weights(untouched.model), weights(made.model))
    assert plain.values == losses.values
    folder = tmp_path / "snapshots"
    assert sorted(p.name for p in folder.iterdir()) == ["step-2.zarr", "step-4.zarr"]

    file = folder / "step-4.zarr"
    attrs = open_attrs(file)
    assert attrs["loss"] == losses.values[3]
    assert attrs["iteration"] == 4
    batch = gp.replay(file, pipeline())
    for key in (RAW, TARGET):
        stored = open_dataset(file, str(key))
        assert np.array_equal(stored.read(), batch[key].data)
        assert read_geometry(stored).offset == batch[key].spec.roi.offset
    out = open_dataset(file, str(OUT))
    assert read_geometry(out).offset == batch[TARGET].spec.roi.offset
    assert out.shape == batch[TARGET].data.shape
    assert read_events(tmp_path, ["failure"]) == []


def test_outputs_are_those_of_the_network_after_the_step(tmp_path):
    made = session(hooks=[Snapshots(every=3)], stop_after=3, run_dir=tmp_path)
    made.run()
    batch = gp.replay(tmp_path / "snapshots" / "step-3.zarr", pipeline())
    made.model.eval()
    with torch.no_grad():
        expected = made.model(torch.as_tensor(batch[RAW].data)).numpy()
    stored = open_dataset(tmp_path / "snapshots" / "step-3.zarr", str(OUT)).read()
    assert np.array_equal(stored, expected)


def test_a_loss_that_is_not_finite_is_left_out(tmp_path):
    from tests.training.sessions import Poison
    from voxflow.torch import StepOptions

    made = session(
        nodes=[Poison(1)],
        hooks=[Snapshots(every=1)],
        stop_after=3,
        run_dir=tmp_path,
        options=StepOptions(nonfinite="skip"),
    )
    made.run()
    attrs = [open_attrs(tmp_path / "snapshots" / f"step-{n}.zarr") for n in (1, 2)]
    assert ["loss" in each for each in attrs] == [True, False]


def test_what_cannot_be_written_is_told_and_the_training_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    hooks = [Snapshots(every=1, folder=tmp_path / "file" / "in")]
    made = session(hooks=hooks, stop_after=2, run_dir=tmp_path / "run")
    assert made.run().step == 2
    (told,) = read_events(tmp_path / "run", ["failure"])
    assert told.value["hook"] == "Snapshots"


@pytest.mark.parametrize("where", [None, "elsewhere"])
def test_without_a_run_directory_there_are_files_only_where_they_are_wanted(tmp_path, where):
    folder = None if where is None else tmp_path / where
    session(hooks=[Snapshots(every=1, folder=folder)], stop_after=1).run()
    assert [p.name for p in tmp_path.glob("*/*")] == ([] if where is None else ["step-1.zarr"])
