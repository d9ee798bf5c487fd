"""Parts of whole images."""

import numpy as np
import pytest

import voxflow as vf
from voxflow.cells.parts import Parts
from voxflow.pipeline.data import RunPosition

RAW = vf.ArrayKey("RAW")


def image(shape, first=0):
    data = first + np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    return vf.ArraySource(RAW, data, spec=vf.ArraySpec(voxel_size=(1, 1)))


def test_parts_lie_within_their_image_and_are_mirrored_beyond():
    pipeline = (image((6, 5)), image((4, 4), 100)) + Parts((4, 4), shuffle=False)
    request = vf.BatchRequest({RAW: vf.Roi((-2, -2), (8, 8))})
    seen = set()
    with vf.build(pipeline, seed=0):
        for number in range(40):
            made = pipeline.request_batch(request.at(RunPosition(0, number)))[RAW].data
            part = made[2:6, 2:6]
            seen.add(int(part[0, 0]))
            assert (part[:, 1:] - part[:, :-1] == 1).all()
            if number % 2:
                padded = np.pad(part, 2, mode="reflect")
                np.testing.assert_array_equal(made, padded)
    assert seen == {0, 1, 5, 6, 10, 11, 100}


def test_refuses_images_that_are_smaller():
    with (
        pytest.raises(vf.PipelineSetupError, match="images of at least"),
        vf.build((image((6, 3)),) + Parts((4, 4))),
    ):
        pass


class Read(vf.BatchFilter):
    """Counts how often an image is read."""

    def __init__(self):
        self.times = 0

    def process(self, batch, request):
        self.times += 1


@pytest.mark.parametrize(("room", "times"), [(1 << 30, 1), (256, 1), (255, 10), (0, 10)])
def test_images_are_kept_as_long_as_there_is_room(monkeypatch, room, times):
    monkeypatch.setattr("voxflow.cells.parts._MOST_BYTES", room)
    reads = [Read(), Read()]
    images = tuple(image((4, 4), 100 * n) + read for n, read in enumerate(reads))
    pipeline = images + Parts((4, 4), shuffle=False)
    request = vf.BatchRequest({RAW: vf.Roi((0, 0), (4, 4))})
    with vf.build(pipeline, seed=0):
        for number in range(20):
            made = pipeline.request_batch(request.at(RunPosition(0, number)))
            assert made[RAW].data[0, 0] == 100 * (number % 2)
    assert [read.times for read in reads] == [times] * 2
