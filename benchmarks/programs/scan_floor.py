"""The same blocks read with context, copied and written by bare loops, and by daisy alone."""

import contextlib
import itertools
import os
import time
import warnings
from pathlib import Path

import numpy as np
from scan import anew, family_seconds
from serve import serve

CACHE = 4 << 30


class Loop:
    """A bare loop over blocks, with what opens the two datasets."""

    def __init__(self, folder, block, context, kind, how):
        self.source, self.empty = Path(folder, "raw.zarr"), Path(folder, "empty.zarr")
        self.target = Path(folder, f"{how}_{kind}.zarr")
        self.block, self.context, self.open = block, context, LIBRARIES[how]

    def run(self, count=1):
        """Read, copy, write, all blocks."""
        wall = cpu = 0.0
        for _ in range(count):
            anew(self.target, self.empty)
            start = time.perf_counter(), family_seconds()
            shape, read, write = self.open(self.source, self.target)
            for begin in blocks(shape, self.block):
                copy_block(read, write, shape, begin, self.block, self.context)
            wall += time.perf_counter() - start[0]
            cpu += family_seconds() - start[1]
        return {"wall": wall, "cpu": cpu}


def blocks(shape, block):
    """Where blocks begin; the first axis varies fastest, as in a scan."""
    backwards = [
        range(0, n, size) for n, size in zip(reversed(shape), reversed(block), strict=True)
    ]
    return [tuple(reversed(place)) for place in itertools.product(*backwards)]


def copy_block(read, write, shape, begin, block, context):
    """Read with context, zeros around the data, and write what is within."""
    low = [a - c for a, c in zip(begin, context, strict=True)]
    high = [a + n + c for a, n, c in zip(begin, block, context, strict=True)]
    inside = tuple(slice(max(0, a), min(n, b)) for a, b, n in zip(low, high, shape, strict=True))
    data = read(inside)
    around = [(cut.start - a, b - cut.stop) for cut, a, b in zip(inside, low, high, strict=True)]
    if any(map(any, around)):
        data = np.pad(data, around)
    middle = tuple(slice(c, c + n) for c, n in zip(context, block, strict=True))
    write(tuple(slice(a, a + n) for a, n in zip(begin, block, strict=True)), data[middle].copy())


def stores(source, target):
    """voxflow's own datasets."""
    from voxflow.stores import open_dataset
    from voxflow.stores.cache import with_cache

    raw = with_cache(open_dataset(str(source), "raw"), CACHE)
    return raw.shape, raw.read, open_dataset(str(target), "out", "r+").write


def tensorstore(source, target):
    """tensorstore with its cache of decoded chunks."""
    import tensorstore as ts

    context = ts.Context({
        "cache_pool": {"total_bytes_limit": CACHE},
        "data_copy_concurrency": {"limit": 1},
        "file_io_concurrency": {"limit": 1},
    })  # fmt: skip

    def opened(path, **options):
        spec = {
            "driver": "zarr",
            "kvstore": {"driver": "file", "path": str(path), "file_io_sync": False},
            "recheck_cached_data": False,
            **options,
        }
        return ts.open(spec, open=True, context=context).result()

    raw, out = opened(source / "raw"), opened(target / "out", store_data_equal_to_fill_value=True)
    return (
        raw.shape,
        lambda where: raw[where].read().result(),
        lambda where, data: out[where].write(data).result(),
    )


def zarr(source, target):
    """zarr-python, which keeps nothing."""
    import zarr

    raw, out = (
        zarr.open_array(source / "raw", mode="r"),
        zarr.open_array(target / "out", mode="r+"),
    )
    return raw.shape, raw.__getitem__, out.__setitem__


class Daisy(Loop):
    """The same by daisy's workers, each of which opens the datasets once."""

    def __init__(self, folder, block, context, kind, how, workers):
        super().__init__(folder, block, context, kind, how)
        self.target = Path(folder, f"daisy_{how}_{kind}_{workers}.zarr")
        self.workers = workers
        os.chdir(folder)  # daisy keeps logs where it is started

    def run(self, count=1):
        import daisy

        wall = cpu = 0.0
        for _ in range(count):
            anew(self.target, self.empty)
            start = time.perf_counter(), family_seconds()
            self.scan(daisy)
            wall += time.perf_counter() - start[0]
            cpu += family_seconds() - start[1]
        return {"wall": wall, "cpu": cpu}

    def scan(self, daisy):
        """All blocks."""
        block, context = daisy.Coordinate(self.block), daisy.Coordinate(self.context)
        write = daisy.Roi((0,) * len(block), block)
        total = daisy.Roi((0,) * len(block), shape_of(self.source))
        opened = []

        def process(given):
            if not opened:
                opened.append(self.open(self.source, self.target))
            shape, reads, writes = opened[0]
            begin = tuple(given.write_roi.begin)
            copy_block(reads, writes, shape, begin, self.block, self.context)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            task = daisy.Task(
                "copy",
                total_roi=total.grow(context, context),
                read_roi=write.grow(context, context),
                write_roi=write,
                process_function=process,
                read_write_conflict=False,
                max_workers=self.workers,
            )
            done = daisy.run_blockwise(
                [task],
                multiprocessing=self.workers > 1,
                progress=False,
                block_tracking=False,
                summary=False,
            )
        if not done:
            raise RuntimeError("daisy did not do all blocks")


def shape_of(store):
    """The shape of the volume, without a library that a fork would have to do without."""
    import json

    return tuple(json.loads((store / "raw" / ".zarray").read_text())["shape"])


LIBRARIES = {"stores": stores, "tensorstore": tensorstore, "zarr": zarr}


@contextlib.contextmanager
def open_work(_library, workers=None, **options):
    yield Loop(**options) if workers is None else Daisy(workers=workers, **options)


if __name__ == "__main__":
    serve(open_work)
