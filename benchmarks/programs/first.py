"""From the start of a process to its first batch of the CREMI tutorial."""

import contextlib
import time

from batches import Batches
from serve import serve


class First:
    """A pipeline that is not built yet."""

    def __init__(self, gp, options):
        self.gp, self.options = gp, options

    def run(self, count=1):
        """Build, and make one batch."""
        start = time.perf_counter()
        batches = Batches(self.gp, **self.options)
        with self.gp.build(batches.pipeline):
            batches.run()
        return {"wall": time.perf_counter() - start}


@contextlib.contextmanager
def open_work(gp, file, shape, subsample=1):
    options = {"file": file, "shape": shape, "subsample": subsample}
    yield First(gp, {**options, "workers": 0, "cache": 0, "pad": False, "method": None})


if __name__ == "__main__":
    serve(open_work)
