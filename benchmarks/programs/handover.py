"""A large batch from a worker to its parent: gunpowder's ProducerPool and voxflow's WorkerPool."""

import contextlib
import importlib

import numpy as np
from serve import serve


class Ready:
    """In a worker: a batch that lies ready."""

    def __init__(self, library, nbytes):
        self.library, self.nbytes, self.batch = library, nbytes, None

    def __call__(self, task=None):
        if self.batch is None:
            gp = importlib.import_module(self.library)
            roi = gp.Roi((0,), (self.nbytes,))
            spec = gp.ArraySpec(roi, gp.Coordinate((1,)), dtype=np.uint8)
            self.batch = gp.Batch()
            self.batch[gp.ArrayKey("RAW")] = gp.Array(np.ones(self.nbytes, np.uint8), spec)
        return self.batch


class Handover:
    """Batches that cost nothing to make, handed over one after the other."""

    def __init__(self, gp, megabytes):
        self.key, self.nbytes = gp.ArrayKey("RAW"), megabytes * 10**6
        self.copy = np.ones(self.nbytes, np.uint8), np.zeros(self.nbytes, np.uint8)
        ready = Ready(gp.__name__, self.nbytes)
        self.get, self.stop = (ours if gp.__name__ == "voxflow" else theirs)(ready)

    def run(self, count=1):
        """Receive batches, and look into them."""
        for _ in range(count):
            data = self.get()[self.key].data
            if data.nbytes != self.nbytes or data[:: 1 << 16].min() != 1:
                raise RuntimeError("something else was handed over")
            del data

    def memcpy(self, count=1):
        """What moving as many bytes costs within a process."""
        for _ in range(count):
            np.copyto(self.copy[1], self.copy[0])


def ours(ready):
    """One result at a time: it is copied while it is waited for."""
    from voxflow.pipeline.engine.workers import WorkerPool

    pool = WorkerPool(ready, 1, ahead=1, name="handover").__enter__()

    def get():
        pool.submit(None)
        return pool.result()

    return get, lambda: pool.__exit__(None, None, None)


def theirs(ready):
    """As PreCache does it, with the shortest queue."""
    from gunpowder.producer_pool import ProducerPool

    pool = ProducerPool([ready], queue_size=1)
    pool.start()
    return pool.get, pool.stop


@contextlib.contextmanager
def open_work(gp, megabytes=100):
    handover = Handover(gp, megabytes)
    try:
        yield handover
    finally:
        handover.stop()


if __name__ == "__main__":
    serve(open_work)
