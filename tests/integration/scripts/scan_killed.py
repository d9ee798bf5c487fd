"""Scans a volume; every block that is run leaves a line. Killed and started again by a test."""

import os
import signal
import sys
import time

import numpy as np

import voxflow as gp

# Whatever the shell that started the tests has set.
signal.signal(signal.SIGINT, signal.default_int_handler)
folder, workers, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
raw = gp.ArrayKey("RAW")


class Leave(gp.BatchFilter):
    """Leaves a line for every block, before and after it is made."""

    def process(self, batch, request):
        self._note("begun", request)
        time.sleep(pause)
        self._note("made", request)

    def _note(self, what, request):
        line = f"{what} {' '.join(map(str, request[raw].roi.begin))}\n"
        with open(f"{folder}/runs", "a") as file:
            file.write(line)


shape = (24, 70, 50)
data = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
if len(sys.argv) > 4:
    writer = gp.Hdf5Write({raw: "volumes/raw"}, folder, "out.hdf")
else:
    writer = gp.ZarrWrite({raw: "volumes/raw"}, folder, "out.zarr", "blosc")
pipeline = (
    gp.ArraySource(raw, data, spec=gp.ArraySpec(voxel_size=(40, 4, 4)))
    + gp.AsType(raw, np.float32)
    + gp.NoiseAugment(raw, clip=False, var=1.0)
    + Leave()
    + writer
)
reference = gp.BatchRequest({raw: gp.Roi((0, 0, 0), (8 * 40, 16 * 4, 16 * 4))})
report = gp.scan(
    pipeline,
    reference,
    num_workers=workers,
    seed=int(os.environ.get("SCAN_SEED", "7")),
    progress=gp.ScanCallback(),
)
print(report.blocks, report.done_before)
