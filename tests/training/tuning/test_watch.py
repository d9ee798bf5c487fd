"""A session is watched, and ended if others were better."""

from tests.torch.nets import request
from tests.training.sessions import pipeline, session
from voxflow.training import Validation
from voxflow.training.tuning.watch import Watch


def validation():
    return Validation(pipeline(), request(), batches=1, every=2)


def test_a_session_that_is_pruned_ends_at_once_and_leaves_no_checkpoint(tmp_path):
    found = []

    def report(step, value):
        found.append((step, value))
        return True

    watch = Watch("validation.loss", report, grace=3)
    made = session(validation=validation(), hooks=[watch], run_dir=tmp_path, stop_after=9)
    assert made.run().step == 4
    assert watch.pruned
    assert watch.broken_off is None
    assert [step for step, _ in found] == [2, 4]  # what is not trained yet says nothing
    assert found[-1][1] == made.metrics["validation.loss"]
    assert not (tmp_path / "checkpoints" / "final.pt").exists()


def test_a_session_that_somebody_ends_is_not_at_its_end():
    class Somebody:
        def after_step(self, session, step):
            session.request_stop("somebody said stop")

    watch = Watch("validation.loss", lambda step, value: False)
    session(hooks=[watch, Somebody()], stop_after=9).run()
    assert watch.broken_off == "somebody said stop"
    watch = Watch("validation.loss", lambda step, value: False)
    session(hooks=[watch], stop_after=1).run()
    assert watch.broken_off is None
    assert not watch.pruned


def test_a_value_that_cannot_be_kept_ends_the_session(tmp_path):
    def report(step, value):
        raise OSError("the disk is full")

    watch = Watch("validation.loss", report)
    made = session(validation=validation(), hooks=[watch], run_dir=tmp_path, stop_after=9)
    assert made.run().step == 2
    assert str(watch.error) == "the disk is full"
    # What goes on finds the value again: no checkpoint is after it.
    assert list((tmp_path / "checkpoints").glob("*.pt")) == []
