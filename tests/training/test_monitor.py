"""Further data are evaluated beside the validation, and change nothing."""

import pytest

from tests.torch.nets import convolution, request
from tests.training.sessions import pipeline, same, session, weights
from voxflow.training import Every, Keeper, Monitor, Validation, read_events


def found(folder, name):
    return [(event.step, event.value) for event in read_events(folder, [name])]


def made(folder, stop_after, monitored=True):
    held_out = Validation(pipeline(seed=20), request(), batches=2, every=2)
    trained = Validation(
        pipeline(), request(), batches=2, every=Every(steps=2, at_start=True), metrics=["mae"]
    )
    return session(
        convolution(5, dropout=0.5, norm=True),
        run_dir=folder,
        validation=held_out,
        hooks=[Monitor(trained)] if monitored else [],
        keeper=Keeper(folder / "checkpoints", last=Every(steps=3)),
        stop_after=stop_after,
    )


def test_it_is_seen_in_the_log_and_changes_nothing(tmp_path):
    one, other = made(tmp_path / "a", 5), made(tmp_path / "b", 5, monitored=False)
    one.run()
    other.run()
    assert same(weights(one.model), weights(other.model))
    for name in ("training.loss", "training.mae", "validation.loss"):
        assert [step for step, _ in found(tmp_path / "a", name)] == [0, 2, 4]
    assert one.metrics["training.loss"] == found(tmp_path / "a", "training.loss")[-1][1]
    held_out = found(tmp_path / "b", "validation.loss")
    assert found(tmp_path / "a", "validation.loss") == held_out
    assert found(tmp_path / "a", "training.loss") != held_out
    # It goes on, and its pipeline was torn down.
    made(tmp_path / "c", 3).run()
    made(tmp_path / "c", 5).run()
    assert found(tmp_path / "c", "training.loss") == found(tmp_path / "a", "training.loss")


@pytest.mark.parametrize("name", ["", "validation"])
def test_names(name):
    with pytest.raises(ValueError, match="a name of its own"):
        Monitor(Validation(pipeline(), request()), name)
