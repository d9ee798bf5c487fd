"""What nodes add to an error that passes."""

import pickle

import voxflow as gp
from voxflow.pipeline.engine.notes import describe_request, note_visit

RAW, MASK = gp.ArrayKey("RAW"), gp.ArrayKey("MASK")
SPEC = gp.ProviderSpec({RAW: gp.ArraySpec(voxel_size=(4,)), MASK: gp.ArraySpec(voxel_size=(8,))})
ONE = gp.BatchRequest({RAW: gp.Roi((0,), (8,))})
TWO = gp.BatchRequest({RAW: gp.Roi((0,), (8,)), MASK: gp.Roi((0,), (8,))})
WIDE = gp.BatchRequest({RAW: gp.Roi((0,), (16,)), MASK: gp.Roi((0,), (8,))})
RAW_TEXT = "RAW [0:8] (8) in world units = [0:2] (2) in voxels of (4,)"
MASK_TEXT = "MASK [0:8] (8) in world units = [0:1] (1) in voxels of (8,)"


def notes(*visits):
    error = ValueError("text")
    for who, request in visits:
        note_visit(error, who, request, SPEC)
    return error.__notes__


def test_nodes_that_were_asked_for_the_same_share_a_note():
    assert notes(("A", ONE), ("B", ONE), ("C", ONE)) == [
        f"in A -> B -> C, asked for\n    {RAW_TEXT}"
    ]


def test_a_key_that_stays_is_as_above():
    assert notes(("A", ONE), ("B", TWO), ("C", TWO), ("D", WIDE), ("E", TWO)) == [
        f"in A, asked for\n    {RAW_TEXT}",
        f"in B -> C, asked for\n    RAW as above\n    {MASK_TEXT}",
        "in D, asked for\n    RAW [0:16] (16) in world units = [0:4] (4) in voxels of (4,)\n"
        "    MASK as above",
        f"in E, asked for\n    {RAW_TEXT}\n    MASK as above",
    ]


def test_other_notes_stay_as_they_are():
    error = ValueError("text")
    error.add_note("in my opinion, asked for trouble")
    note_visit(error, "A", ONE, SPEC)
    error.add_note("came from a worker")
    note_visit(error, "B", ONE, SPEC)
    assert error.__notes__ == [
        "in my opinion, asked for trouble",
        f"in A, asked for\n    {RAW_TEXT}",
        "came from a worker",
        "in B, asked for\n    RAW as above",
    ]


def test_notes_go_on_after_a_journey():
    error = ValueError("text")
    note_visit(error, "A", ONE, SPEC)
    error = pickle.loads(pickle.dumps(error))
    note_visit(error, "B", ONE, SPEC)
    assert error.__notes__ == [f"in A -> B, asked for\n    {RAW_TEXT}"]


def test_nothing_asked():
    empty = gp.BatchRequest()
    assert notes(("A", empty), ("B", empty)) == ["in A -> B, asked for\n    nothing"]


def test_descriptions():
    request = gp.BatchRequest({RAW: gp.ArraySpec(nonspatial=True), MASK: gp.Roi((0,), (8,))})
    assert describe_request(request) == "RAW no region; MASK [0:8] (8) in world units"
    assert describe_request(TWO, SPEC) == f"{RAW_TEXT}; {MASK_TEXT}"
    assert describe_request(gp.BatchRequest()) == "nothing"
