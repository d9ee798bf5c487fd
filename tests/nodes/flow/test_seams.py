"""check_seams: networks that see enough agree with themselves, others are told by how much."""

import pickle

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, volume
from voxflow.models import UNet, analyse
from voxflow.torch import Predict

OTHER = gp.ArrayKey("OTHER")


class Net(torch.nn.Module):
    def __init__(self, ndim, padding):
        super().__init__()
        torch.manual_seed(0)
        kind = torch.nn.Conv2d if ndim == 2 else torch.nn.Conv3d
        layers = [kind(1, 4, 3, padding=padding), torch.nn.Tanh(), kind(4, 1, 3, padding=padding)]
        self.net = torch.nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x[None, None])[0, 0]


def check(shape, block, overlap, padding=0, size=None, tolerance=1e-5, **options):
    size = gp.Coordinate((1,) * len(shape) if size is None else size)
    context = size * (0 if padding else 2)
    predict = Predict(Net(len(shape), padding), {0: RAW}, {0: OUT}, device="cpu", context=context)
    reference = gp.BatchRequest({OUT: gp.Roi((0,) * len(shape), size * gp.Coordinate(block))})
    return gp.check_seams(
        volume(shape, size) + predict, reference, overlap=size * gp.Coordinate(overlap),
        tolerance=tolerance, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "block", "overlap", "size"),
    [
        ((31, 40), (9, 12), (4, 5), None),
        ((31, 40), (9, 12), (4, 5), (4, 9.8)),
        ((12, 20, 21), (5, 8, 9), (2, 4, 3), (40, 4, 4)),
    ],
)
def test_valid_convolutions_agree(shape, block, overlap, size):
    report = check(shape, block, overlap, size=size)
    assert report.largest <= 1e-5
    assert "0 of 12 seams differ" in str(report)
    assert len(report.seams) == 12


@pytest.mark.parametrize("shape", [(31, 40), (12, 20, 21)])
def test_zero_padding_is_told_by_how_much(shape):
    ndim = len(shape)
    with pytest.raises(gp.SeamMismatch, match=r"seams differ by more than 1e-05.*OUT.*Blend") as e:
        check(shape, (8,) * ndim, (4,) * ndim, padding=1)
    report = e.value.report
    assert report.largest > 0.01
    assert report.worst.blocks[0].intersect(report.worst.blocks[1]).contains(report.worst.where)
    assert f"{report.largest:.4g}" in str(e.value)
    assert str(report.worst.where) in str(e.value)
    again = pickle.loads(pickle.dumps(e.value))
    assert again.report == report
    assert check(shape, (8,) * ndim, (4,) * ndim, padding=1, tolerance=10).largest < 10


def test_the_pair_and_the_place_that_are_worst():
    class Wrong(gp.BatchFilter):
        """Says something else of one voxel in all blocks that begin there."""

        def setup(self):
            self.updates(RAW, self.spec[RAW])

        def process(self, batch, request):
            data = batch[RAW].data.copy()
            if request[RAW].roi.begin == (28, 24):
                data[1, 2] += 7
                data[6, 6] += 20  # no other block has this one
            batch[RAW].data = data

    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), (36, 30))})
    pipeline = volume((30, 30), (4, 3)) + Wrong()
    with pytest.raises(gp.SeamMismatch) as error:
        gp.check_seams(pipeline, reference, overlap=(8, 6), tolerance=0.5, pairs=1000)
    (seam,) = (seam for seam in error.value.report.seams if seam.largest)
    assert seam == error.value.report.worst
    assert [block.begin for block in seam.blocks] == [(0, 24), (28, 24)]
    assert seam.where == (32, 30)
    assert seam.largest == pytest.approx(7, abs=1e-5)
    assert seam.mean == pytest.approx(7 / 20, abs=1e-5)


def test_all_pairs_if_there_are_few_and_the_moved_back_block_among_them():
    report = check((23, 14), (9, 10), (3, 2), pairs=1000)
    begins = [tuple(b.begin for b in seam.blocks) for seam in report.seams]
    assert begins == [((2, 2), (8, 2)), ((8, 2), (12, 2))]


def test_blocks_off_the_networks_step_differ():
    torch.manual_seed(0)
    net = UNet(1, 1, fmaps=2, downsample=[(2, 2)])
    geometry = analyse(net, dims=2)

    class Channels(torch.nn.Module):
        def forward(self, x):
            return net(x[None, None])[0, 0]

    _, block = geometry.fit((30, 30))
    assert geometry.output_step == (2, 2)

    def seams(overlap):
        predict = Predict(Channels(), {0: RAW}, {0: OUT}, device="cpu", context=geometry.context)
        pipeline = volume((59, 59)) + predict
        reference = gp.BatchRequest({OUT: gp.Roi((0, 0), block)})
        with pytest.raises(gp.SeamMismatch) as error:
            gp.check_seams(pipeline, reference, overlap=overlap, tolerance=1e-5, pairs=1000)
        return error.value.report.seams

    def apart(seam):
        return tuple(b - a for a, b in zip(seam.blocks[0].begin, seam.blocks[1].begin, strict=True))

    # Those that lie on its step agree, the last one along an axis and its neighbour do not.
    for seam in seams(4):
        on_step = all(n % 2 == 0 for n in apart(seam))
        assert (seam.largest <= 1e-5) == on_step
    assert all(seam.largest > 1e-5 for seam in seams(5) if 1 in {n % 2 for n in apart(seam)})


def test_what_is_not_a_number_and_large_ids():
    class Odd(gp.BatchFilter):
        def __init__(self, value, key=RAW):
            self.value, self.key = value, key

        def setup(self):
            self.updates(self.key, self.spec[self.key])

        def process(self, batch, request):
            if request[self.key].roi.begin[0] > 0:
                data = batch[self.key].data.copy()
                data[0] = self.value
                batch[self.key].data = data

    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), (10, 10))})
    with pytest.raises(gp.SeamMismatch, match="differs by up to inf"):
        gp.check_seams(volume((20, 10)) + Odd(np.nan), reference, overlap=(5, 0), tolerance=1e9)
    ids = np.full((20, 10), 2**64 - 1, np.uint64)
    source = gp.ArraySource(RAW, ids, spec=gp.ArraySpec(voxel_size=(1, 1)))
    with pytest.raises(gp.SeamMismatch, match="differs by up to 1 "):
        gp.check_seams(source + Odd(2**64 - 2), reference, overlap=(5, 0), tolerance=0)
    everywhere = gp.ArraySource(
        RAW, np.full((20, 10), np.nan), spec=gp.ArraySpec(voxel_size=(1, 1))
    )
    assert gp.check_seams(everywhere, reference, overlap=(5, 0), tolerance=0).largest == 0


def test_blocks_that_do_not_overlap_are_refused():
    with pytest.raises(ValueError, match=r"there are no two blocks of \(9, 12\) in"):
        check((13, 16), (9, 12), (4, 5))
    with pytest.raises(ValueError, match="between 0 and half a tile"):
        check((31, 40), (9, 12), (5, 5))
