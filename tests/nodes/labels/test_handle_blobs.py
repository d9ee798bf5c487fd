import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

LABELS, RAW, MASK = gp.ArrayKey("LABELS"), gp.ArrayKey("RAW"), gp.ArrayKey("MASK")
IDS = np.array([[0, 1, 1, 2], [0, 3, 1, 4]], np.uint8)
IMAGE = np.arange(16, dtype=np.int8).reshape(2, 2, 4) + 1


def handled(mode, request=None, offset=(0, 0), **kwargs):
    whole = gp.Roi((0, 0), (4, 8))
    inputs = source(LABELS, IDS, (2, 2), offset), source(RAW, IMAGE, (2, 2))
    pipeline = inputs + gp.MergeProvider() + gp.HandleBlobs(LABELS, mode, **kwargs)
    return served(pipeline, request or asking(LABELS=whole, RAW=whole))


def test_removed_they_are_zero_in_labels_and_image():
    batch = handled("remove", raw=RAW)
    blob = IDS == 1
    np.testing.assert_array_equal(batch[LABELS].data, np.where(blob, 0, IDS))
    np.testing.assert_array_equal(batch[RAW].data, np.where(blob, 0, IMAGE))
    assert IDS.max() == 4
    assert IMAGE.min() == 1


def test_ignored_they_are_not_in_the_mask():
    whole = gp.Roi((0, 0), (4, 8))
    batch = handled("ignore", asking(LABELS=whole, RAW=whole, MASK=whole), mask=MASK)
    np.testing.assert_array_equal(batch[MASK].data, IDS != 1)
    np.testing.assert_array_equal(batch[LABELS].data, IDS)
    np.testing.assert_array_equal(batch[RAW].data, IMAGE)


def test_as_objects_they_stay():
    batch = handled("object", raw=RAW)
    np.testing.assert_array_equal(batch[LABELS].data, IDS)
    np.testing.assert_array_equal(batch[RAW].data, IMAGE)


def test_the_image_alone_and_where_there_are_no_labels():
    batch = handled("remove", asking(RAW=((0, 0), (4, 8))), raw=RAW, offset=(0, 4))
    blob = np.zeros((2, 4), bool)
    blob[:, 2:] = IDS[:, :2] == 1
    np.testing.assert_array_equal(batch[RAW].data, np.where(blob, 0, IMAGE))
    batch = handled("remove", asking(RAW=((0, 0), (4, 4))), raw=RAW, offset=(0, 4))
    np.testing.assert_array_equal(batch[RAW].data, IMAGE[..., :2])


def test_blobs_have_any_id():
    whole = gp.Roi((0, 0), (4, 8))
    batch = handled("ignore", asking(MASK=whole), mask=MASK, blob=3)
    np.testing.assert_array_equal(batch[MASK].data, IDS != 3)


def test_mistakes():
    with pytest.raises(ValueError, match="got 'hide'"):
        gp.HandleBlobs(LABELS, "hide")
    with pytest.raises(ValueError, match="give mask="):
        gp.HandleBlobs(LABELS)
    inputs = source(LABELS, IDS, (2, 2)), source(RAW, IMAGE, (2, 1))
    pipeline = inputs + gp.MergeProvider() + gp.HandleBlobs(LABELS, "remove", RAW)
    with pytest.raises(gp.PipelineSetupError, match=r"of \(2, 1\), but those of LABELS are of"):
        served(pipeline, gp.BatchRequest())


def test_as_an_object_a_blob_is_a_target():
    classes, whole = gp.ArrayKey("CLASSES"), gp.Roi((0, 0), (4, 8))
    for mode, wanted in (("object", [0, 1, 1, 1]), ("remove", [0, 0, 0, 1])):
        pipeline = source(LABELS, IDS, (2, 2)) + gp.HandleBlobs(LABELS, mode)
        pipeline = pipeline + gp.LabelsToClasses(LABELS, classes, axes=[])
        batch = served(pipeline, gp.BatchRequest({classes: whole}))
        assert batch[classes].data[0].tolist() == wanted


def test_a_mask_of_nothing_is_empty():
    line = source(LABELS, np.array([0, 1, 2]), (4,))
    pipeline = line + gp.HandleBlobs(LABELS, "ignore", mask=MASK)
    assert served(pipeline, gp.BatchRequest({MASK: gp.Roi((4,), (0,))}))[MASK].data.shape == (0,)
