# A script in the form of gunpowder's tutorial: nothing of it is changed, and it has no main guard.
import logging
import sys

import gunpowder as gp
import gunpowder.nodes.random_location
import numpy as np
from gunpowder.nodes.batch_filter import BatchFilter
from gunpowder.profiling import Timing

work, num_iterations = sys.argv[1], int(sys.argv[2])
logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
logging.getLogger("gunpowder.nodes.print_profiling_stats").setLevel(logging.INFO)

raw = gp.ArrayKey("RAW")
inverted = gp.ArrayKey("INVERTED")
size = gp.Coordinate((5, 20, 20)) * gp.Coordinate((40, 4, 4))


class Invert(BatchFilter):
    def __init__(self, array, inverted):
        self.array = array
        self.inverted = inverted

    def setup(self):
        spec = self.spec[self.array].copy()
        self.provides(self.inverted, spec)

    def prepare(self, request):
        deps = gp.BatchRequest()
        deps[self.array] = request[self.inverted].copy()
        return deps

    def process(self, batch, request):
        timing = Timing(self, "process")
        timing.start()
        outputs = gp.Batch()
        spec = batch[self.array].spec.copy()
        outputs[self.inverted] = gp.Array(1 - batch[self.array].data, spec)
        timing.stop()
        batch.profiling_stats.add(timing)
        return outputs


class Elsewhere(gp.random_location.RandomLocation):
    def accepts(self, request):
        return request[raw].roi.offset[1] % 8 == 0


def source():
    return gp.Hdf5Source(
        work + "/sample_A.hdf",
        datasets={raw: "volumes/raw"},
        array_specs={raw: gp.ArraySpec(interpolatable=True)},
    ) + gp.Normalize(raw)


request = gp.BatchRequest()
request.add(raw, size)
request.add(inverted, size)

training = (
    source()
    + Elsewhere()
    + Invert(raw, inverted)
    + gp.PreCache(cache_size=4, num_workers=2)
    + gp.PrintProfilingStats(every=num_iterations)
)
with gp.build(training):
    for _ in range(num_iterations):
        batch = training.request_batch(request)
        np.testing.assert_array_equal(batch[inverted].data, 1 - batch[raw].data)

prediction = (
    source()
    + Invert(raw, inverted)
    + gp.Hdf5Write({inverted: "inverted"}, output_dir=work, output_filename="inverted.hdf")
    + gp.Scan(request, num_workers=2)
)
with gp.build(prediction):
    prediction.request_batch(gp.BatchRequest())
print("done", gp.version, __name__, sys.argv)
