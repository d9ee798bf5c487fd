"""Scans a volume with workers that a batch system starts; see `test_scan_cluster`."""

import os
import sys
import time

import numpy as np

import voxflow as gp

folder, workers, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
raw = gp.ArrayKey("RAW")


class Work(gp.BatchFilter):
    """Takes its time, and tells who did it; or fails, but for the first block."""

    def process(self, batch, request):
        begin = request[raw].roi.begin
        with open(f"{folder}/workers/{os.getpid()}", "a") as file:
            file.write(f"{begin}\n")
        if what == "fail" and any(begin):
            raise RuntimeError(f"nothing can be made of {begin}")
        if any(begin):
            time.sleep(0.1)


shape = (20, 40, 50)
data = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
pipeline = (
    gp.ArraySource(raw, data, spec=gp.ArraySpec(voxel_size=(40, 4, 4)))
    + Work()
    + gp.ZarrWrite({raw: "volumes/raw"}, folder, "out.zarr")
)
reference = gp.BatchRequest({raw: gp.Roi((0, 0, 0), (4 * 40, 10 * 4, 10 * 4))})
os.makedirs(f"{folder}/workers", exist_ok=True)
report = gp.scan(
    pipeline,
    reference,
    num_workers=workers,
    worker_command="sbatch --wait --cpus-per-task=1 {command}",
    policy=gp.ScanPolicy(budget=5),
    progress=gp.ScanCallback(),
)
np.save(f"{folder}/wanted.npy", data)
print(report.blocks, report.done_before)
