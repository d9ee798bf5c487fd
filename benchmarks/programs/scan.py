"""A volume predicted block by block by a model that copies: gunpowder and voxflow."""

import contextlib
import os
import shutil
import time
from pathlib import Path

from serve import serve
from watch import memory


class Silent:
    """A progress that nobody looks at."""

    def start(self, total): ...

    def update(self, done): ...

    def stop(self): ...


class Scanned:
    """A pipeline that is built, and a volume that is written anew each time."""

    def __init__(self, gp, folder, block, context, kind, workers, **options):
        self.gp, self.options = gp, options
        self.block, self.context = gp.Coordinate(block), gp.Coordinate(context)
        self.source, self.empty = Path(folder, "raw.zarr"), Path(folder, "empty.zarr")
        name = f"{gp.__name__}_{kind}_{workers}.zarr"
        self.target, self.workers = Path(folder, name), workers

    def run(self, count=1):
        """Scan, into an empty dataset; making that one does not count."""
        wall = cpu = 0.0
        for _ in range(count):
            anew(self.target, self.empty)
            pipeline = self.pipeline()
            with self.gp.build(pipeline):
                start = time.perf_counter(), family_seconds()
                pipeline.request_batch(self.gp.BatchRequest())
                wall += time.perf_counter() - start[0]
                cpu += family_seconds() - start[1]
        return {"wall": wall, "cpu": cpu}

    def peak(self):
        """Scan once; the most bytes that this process had in memory (Linux)."""
        self.run()
        # Not what `resource` says, which counts what the process was forked from.
        return memory("VmHWM")

    def pipeline(self):
        """Source, context, copy, writer, scan."""
        gp = self.gp
        raw, out = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
        reference = gp.BatchRequest()
        reference.add(raw, self.block + self.context * 2)
        reference.add(out, self.block)
        pipeline = (
            gp.ZarrSource(str(self.source), {raw: "raw"})
            + gp.Pad(raw, self.context)
            + copier(gp, raw, out, self.context)
            + gp.ZarrWrite({out: "out"}, str(self.target.parent), self.target.name)
            + gp.Scan(reference, self.workers, progress_callback=quiet(gp), **self.options)
        )
        return pipeline


def anew(target, empty):
    """Take away what was written."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(empty, target)


def quiet(gp):
    """A callback that shows nothing."""
    return type("Quiet", (Silent, gp.ScanCallback), {})()


def copier(gp, raw, out, context):
    """A model that needs some context, and gives back what is in the middle."""

    class Copy(gp.BatchFilter):
        def setup(self):
            spec = self.spec[raw].copy()
            spec.roi = spec.roi.grow(-context, -context)
            self.provides(out, spec)

        def prepare(self, request):
            needed = gp.BatchRequest()
            needed[raw] = gp.ArraySpec(request[out].roi.grow(context, context))
            return needed

        def process(self, batch, request):
            inner = batch[raw].crop(request[out].roi)
            spec = self.spec[out].copy()
            spec.roi = request[out].roi
            batch[out] = gp.Array(inner.data.copy(), spec)

    return Copy()


def family_seconds():
    """Processor seconds of this process and of all that it started, dead ones included (Linux)."""
    ticks = 0
    for process in family(os.getpid()):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def family(process):
    """A process, its children, and theirs."""
    found = [process]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


@contextlib.contextmanager
def open_work(gp, folder, block, context, kind, workers, **options):
    yield Scanned(gp, folder, block, context, kind, workers, **options)


if __name__ == "__main__":
    serve(open_work)
