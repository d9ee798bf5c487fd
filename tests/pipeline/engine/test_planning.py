"""What can be known before the run."""

import numpy as np
import pytest

import voxflow as gp
from tests.pipeline.engine.nodes import (
    LABELS,
    MADE,
    RAW,
    Derive,
    Grow,
    Idle,
    Source,
    asking,
    chain,
    inside,
)
from voxflow.pipeline.engine.errors import RequestRefused


def refused(pipeline, request):
    with gp.build(pipeline, seed=1), pytest.raises(RequestRefused) as caught:
        pipeline.check(request)
    return caught.value.problems


def test_the_tree_is_printed():
    pipeline = chain(
        (
            Source(RAW, dtype="uint8"),
            Source(LABELS, roi=gp.Roi((0, 0), (98, 98)), voxel_size=(4.9, 2)),
        )
        + gp.MergeProvider(),
        Grow(by=4),
        Derive(),
        gp.Stack(5),
    )
    request = asking(RAW, MADE)
    request[LABELS] = gp.ArraySpec(gp.Roi((9.8, 0), (49, 10)), placeholder=True)
    request[gp.ArrayKey("NONE")] = gp.ArraySpec(nonspatial=True)
    with gp.build(pipeline):
        with pytest.raises(RequestRefused):
            pipeline.check(request)
        del request[gp.ArrayKey("NONE")]
        assert str(pipeline.plan(request)).splitlines() == [
            "Stack",
            "  · RAW: [10:18, 10:18] (8, 8), 4 x 4 voxels of (2, 2), uint8, 16 B per channel",
            "  · MADE: [10:18, 10:18] (8, 8), 4 x 4 voxels of (2, 2), uint8, 16 B per channel",
            "  · LABELS: placeholder, [9.8:58.8, 0:10] (49, 10), 10 x 5 voxels of (4.9, 2)",
            "  Derive  (asked 5 times)",
            "    · RAW: [10:18, 10:18] (8, 8), 4 x 4 voxels of (2, 2), uint8, 16 B per channel",
            "    · MADE: [10:18, 10:18] (8, 8), 4 x 4 voxels of (2, 2), uint8, 16 B per channel",
            "    · LABELS: placeholder, [9.8:58.8, 0:10] (49, 10), 10 x 5 voxels of (4.9, 2)",
            "    Grow",
            "      · RAW: [8:20, 8:20] (12, 12), 6 x 6 voxels of (2, 2), uint8, 36 B per channel",
            "      · LABELS: placeholder, [9.8:58.8, 0:10] (49, 10), 10 x 5 voxels of (4.9, 2)",
            "      MergeProvider",
            "        · RAW: [4:24, 4:24] (20, 20), 10 x 10 voxels of (2, 2), uint8, 100 B per channel",  # noqa: E501
            "        · LABELS: placeholder, [9.8:58.8, 0:10] (49, 10), 10 x 5 voxels of (4.9, 2)",
            "        Source",
            "          · RAW: [4:24, 4:24] (20, 20), 10 x 10 voxels of (2, 2), uint8, 100 B per channel",  # noqa: E501
        ]


def test_planning_reads_nothing_and_counts_nothing():
    source = Source()
    pipeline = source + Grow()
    with gp.build(pipeline, seed=1):
        pipeline.plan(asking())
        pipeline.check(asking())
        assert source.asked == []
        assert pipeline.run.next_position.index == 0


def test_nodes_can_tell_that_it_is_a_plan():
    seen = []

    @inside
    class Looks(Idle):
        def prepare(self, request):
            seen.append(request.planning)

    pipeline = Source() + Looks()
    with gp.build(pipeline, seed=1):
        pipeline.check(asking())
        pipeline.request_batch(asking())
    assert seen == [True, True, False]


def test_one_mistake_is_one_problem():
    """However many nodes pass the request on; it is named where the limit comes from."""
    source = Source().named("a file")
    (problem,) = refused(chain(source, Idle(), Idle(), Idle()), asking(roi=((0, 0), (80, 8))))
    assert problem.startswith("a file, RAW: asked for [0:80, 0:8]")


def test_context_is_blamed_on_what_lacks_it():
    (problem,) = refused(chain(Source(), Grow(by=4), Idle()), asking(roi=((0, 0), (8, 8))))
    assert problem == (
        "Source, RAW: asked for [-4:12, -4:12] (16, 16) in world units = [-2:6, -2:6] (8, 8) in "
        "voxels of (2, 2), there is [0:40, 0:40] (40, 40) in world units = [0:20, 0:20] (20, 20) "
        "in voxels of (2, 2): axis 0 misses 4 world units = 2 voxels at its begin; axis 1 misses 4 "
        "world units = 2 voxels at its begin. Ask for less, let downstream nodes add less context, "
        "or put Pad after the source."
    )


def test_what_follows_from_a_mistake_is_no_other():
    """A region that is too large downstream is still larger upstream."""
    (problem,) = refused(chain(Source(), Grow(by=4), Idle()), asking(roi=((0, 0), (80, 80))))
    assert "asked for [0:80, 0:80]" in problem


def test_all_mistakes_at_once():
    pipeline = chain(
        (Source(RAW), Source(LABELS, roi=gp.Roi((0, 0), (98, 98)), voxel_size=(9.8, 9.8)))
        + gp.MergeProvider(),
        Derive(),
        Idle(),
    )
    request = gp.BatchRequest(
        {
            RAW: gp.Roi((30, 0), (20, 8)),
            LABELS: gp.ArraySpec(gp.Roi((0, 0), (10, 9.8)), (10, 10)),
            MADE: gp.Roi((3, 4), (4, 4)),
        }
    )
    problems = refused(pipeline, request)
    assert [p.split(":")[0] for p in problems] == [
        "Source, RAW",
        "Source-2, LABELS",
        "Source-2, LABELS",
        "Derive, MADE",
    ]


def test_unknown_keys_do_not_hide_other_mistakes():
    request = asking(RAW, gp.ArrayKey("RAWW"), roi=((0, 0), (80, 80)))
    problems = refused(chain(Source(), Idle()), request)
    assert len(problems) == 2


def test_every_input_of_a_random_choice_is_looked_at():
    small = Source(roi=gp.Roi((0, 0), (10, 10)))
    pipeline = (Source(), small + Grow(by=20), Source()) + gp.RandomProvider()
    (problem,) = refused(pipeline, asking(roi=((0, 0), (4, 4))))
    assert problem.startswith("Source-2, RAW: asked for [-20:24")


@inside
class Raises(Idle):
    def __init__(self, error):
        self.error = error

    def prepare(self, request):
        raise self.error


def test_what_a_node_raises_keeps_its_type_if_it_is_alone():
    with gp.build(chain(Source(), Raises(LookupError("text")), Idle())) as pipeline:
        with pytest.raises(LookupError, match="text") as caught:
            pipeline.check(asking())
        assert isinstance(caught.value, gp.PipelineRequestError)
        assert caught.value.pipeline is pipeline
        assert caught.value.__notes__[0].startswith("in Raises, asked for\n    RAW [10:18")


def test_what_nodes_raise_is_listed_with_the_rest():
    pipeline = (Source(LABELS) + Raises(KeyError("text")), Source() + Grow()) + gp.MergeProvider()
    problems = refused(pipeline, asking(LABELS, RAW, roi=((0, 0), (8, 8))))
    assert problems[0] == "Raises: KeyError: text"
    assert problems[1].startswith("Source-2, RAW: asked for [-4:12")


def test_what_nodes_raise_for_want_of_a_key_is_no_mistake():
    pipeline = chain(Source(RAW, LABELS), Raises(KeyError("text")), Idle())
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (8, 8)), LABELS: gp.Roi((0, 0), (80, 8))})
    assert len(refused(pipeline, request)) == 1


def test_refusals_of_nodes_are_taken_apart():
    problems = refused(chain(Source(), Raises(RequestRefused(["one", "two"]))), asking())
    assert problems == ("one", "two")


def test_the_first_request_is_checked_as_a_whole():
    source = Source()
    pipeline = chain(source, Grow(by=4), Derive())
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (80, 8)), MADE: gp.Roi((3, 4), (2, 2))})
    with gp.build(pipeline), pytest.raises(RequestRefused) as caught:
        pipeline.request_batch(request)
    assert len(caught.value.problems) == 2
    assert source.asked == []
    assert caught.value.token is None


def test_nodes_from_outside_are_not_called_before_they_have_to():
    calls = []

    class Outside(Idle):
        def prepare(self, request):
            calls.append(request.planning)

    Outside.__module__ = "elsewhere"
    with gp.build(Source() + Outside()) as pipeline:
        pipeline.request_batch(asking())
        assert calls == [False]
        pipeline.check(asking())
        assert calls == [False, True]


def test_the_check_of_a_request_is_made_once():
    calls = []

    @inside
    class Counts(Idle):
        def prepare(self, request):
            calls.append(request.planning)

    one, other = asking(), asking(roi=((0, 0), (8, 8)))
    with gp.build(Source() + Counts()) as pipeline:
        for _ in range(3):
            pipeline.request_batch(one)
            pipeline.request_batch(other)
    assert calls.count(True) == 2


def test_checks_and_plans_need_a_built_pipeline():
    pipeline = Source() + Idle()
    for call in (pipeline.check, pipeline.plan, pipeline.request_batch):
        with pytest.raises(RuntimeError, match=r"is not set up; use it inside `with build"):
            call(asking())


def test_sizes_are_readable():
    spec = gp.ArraySpec(gp.Roi((0, 0), (3000, 1000)), (1, 1), dtype=np.float64)

    @inside
    class Big(Source):
        def setup(self):
            self.provides(RAW, spec)

    with gp.build(Big() + Idle()) as pipeline:
        text = str(pipeline.plan(gp.BatchRequest({RAW: spec.roi})))
    assert "3000 x 1000 voxels of (1, 1), float64, 22.89 MiB per channel" in text
