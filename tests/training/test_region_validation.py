"""A region is predicted block by block and evaluated as a whole."""

import copy

import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, convolution, volume
from tests.training.sessions import same, session, weights
from voxflow.torch import StepOptions
from voxflow.training import RegionValidation, Validation, read_events

REGION = gp.Roi((2, 2), (20, 19))


def sources():
    return (volume(seed=8), volume(key=TARGET, seed=9)) + gp.MergeProvider()


def whole(block, **options):
    asked = gp.BatchRequest({TARGET: REGION, OUT: REGION})
    reference = None
    if block is not None:
        reference = gp.BatchRequest({key: gp.Roi((2, 2), block) for key in (TARGET, OUT)})
    return RegionValidation(
        sources(), asked, block=reference, context=(2, 2), metrics=["mae"], **options
    )


@pytest.mark.parametrize("block", [(8, 6), None])
def test_it_is_evaluated_as_a_whole_and_changes_nothing(tmp_path, block):
    model = convolution(5, dropout=0.5, norm=True)
    one = session(model, run_dir=tmp_path, validation=whole(block, every=2), stop_after=5)
    one.run()
    other = session(convolution(5, dropout=0.5, norm=True), stop_after=5)
    other.run()
    assert same(weights(model), weights(other.model))
    found = {e.name: e.value for e in read_events(tmp_path, ["validation.loss", "validation.mae"])
             if e.step == 4}  # fmt: skip
    # What the model is now, is what the fifth step made of it.
    again = session(model, stop_after=0)
    now = again.evaluate(whole(block))
    quiet = copy.deepcopy(model).eval()
    with gp.build(sources()) as pipeline:
        batch = pipeline.request_batch(
            gp.BatchRequest({RAW: REGION.grow((2, 2), (2, 2)), TARGET: REGION})
        )
    with torch.no_grad():
        off = quiet(torch.from_numpy(batch[RAW].data)) - torch.from_numpy(batch[TARGET].data)
    assert now["loss"] == pytest.approx(float(off.square().mean()), rel=1e-5)
    assert now["mae"] == pytest.approx(float(off.abs().mean()), rel=1e-5)
    assert found.keys() == {"validation.loss", "validation.mae"}
    assert found["validation.loss"] != now["loss"]


def test_averaged_weights():
    one = session(options=StepOptions(average=0.5), stop_after=2)
    one.run()
    plain, averaged = (one.evaluate(whole(None, averaged=flag)) for flag in (False, True))
    assert plain != averaged
    with pytest.raises(ValueError, match="there are none"):
        session().evaluate(whole(None, averaged=True))


def test_it_is_a_validation():
    assert isinstance(whole(None), Validation)
    with pytest.raises(ValueError, match="there is no metric 'maee'"):
        RegionValidation(sources(), gp.BatchRequest(), metrics=["maee"])
