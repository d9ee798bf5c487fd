"""A node as a user writes it, with nothing but the page "Write your own node"."""

import numpy as np
import pytest

import voxflow as gp
from voxflow.testing import BrokenPromise, check_node


class SectionGamma(gp.BatchFilter):
    """Gives each section (along the first axis) a random gamma, smoothed over its neighbours.

    The gammas belong to the places of sections in the world, so that a section looks the same in
    whichever region it is asked for. Two more sections are read, and darkened by their neighbours.
    """

    def __init__(self, array, strength=0.5):
        self.array, self.strength = array, strength

    def setup(self):
        self.enable_autoskip()
        spec = self.spec[self.array].copy()
        self.step = spec.voxel_size * gp.Coordinate((1,) + (0,) * (spec.roi.dims - 1))
        spec.roi = spec.roi.grow(-self.step, -self.step)
        self.updates(self.array, spec)

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[self.array] = request[self.array].roi.grow(self.step, self.step)
        return needed

    def draw(self, request, rng):
        return rng.uniform(-self.strength, self.strength, 1000)

    def process(self, batch, request):
        array = batch[self.array]
        first = array.spec.roi.begin[0] // self.step[0]
        axis = array.data.ndim - array.spec.roi.dims
        values = np.moveaxis(array.data, axis, 0)
        gammas = np.exp(self.plan(request)[(first + np.arange(len(values))) % 1000])
        shaped = gammas.reshape(-1, *(1,) * (values.ndim - 1)).astype(values.dtype)
        lightened = values**shaped
        lightened[1:-1] = np.minimum(lightened[1:-1], (values[:-2] + values[2:]) / 2)
        array.data = np.ascontiguousarray(np.moveaxis(lightened, 0, axis))


class GammaOfItsOwnBatch(SectionGamma):
    """The same with the mistake that is easily made: sections are counted from the region."""

    def process(self, batch, request):
        array = batch[self.array]
        place = array.spec.roi
        array.spec.roi = place - place.begin
        super().process(batch, request)
        array.spec.roi = place


def test_keeps_all_promises():
    check_node(lambda world: SectionGamma(world.floats), local=True, examples=4)


def test_the_easy_mistake_is_found():
    check_node(lambda world: GammaOfItsOwnBatch(world.floats), axes="zyx")
    with pytest.raises(BrokenPromise, match="compute nothing from the region as a whole"):
        check_node(lambda world: GammaOfItsOwnBatch(world.floats), axes="zyx", local=True)
