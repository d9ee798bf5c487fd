"""Training steps of a session and of a bare loop, in turn, on the same model and tensors."""

import contextlib
import io
import json
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from serve import serve


def network(torch):
    """A 3-D network whose step takes some 20 ms on one processor."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv3d(1, 12, 3),
        torch.nn.BatchNorm3d(12),
        torch.nn.ReLU(),
        torch.nn.Conv3d(12, 12, 3),
        torch.nn.BatchNorm3d(12),
        torch.nn.ReLU(),
        torch.nn.Conv3d(12, 1, 3),
    )


class Turns:
    """A hook: after each step of the session one of the bare loop; seconds of both."""

    def __init__(self, bare):
        self.bare = bare
        self.ours, self.theirs, self.batches = [], [], []
        self.since = None

    def after_step(self, session, step):
        if self.since is not None:
            self.ours.append(since(self.since))
        start = now()
        self.bare()
        if self.since is not None:
            self.theirs.append(since(start))
        self.since = now()


class Trace:
    """What the hooks of a session do, and in which thread."""

    def __init__(self, session):
        self.spans = []
        self.guarded, session.hooks.guarded = session.hooks.guarded, self
        self.thread = threading.get_ident()

    def __call__(self, hook, what, function, *args):
        start = time.perf_counter()
        try:
            return self.guarded(hook, what, function, *args)
        finally:
            span = (type(hook).__name__, what, threading.get_ident(), start, time.perf_counter())
            self.spans.append(span)

    def sums(self):
        """Seconds by hook: in the thread that trains, from step to step; and beside it."""
        found = defaultdict(lambda: [0.0, 0.0])
        for name, what, thread, start, end in self.spans:
            if thread != self.thread or what == "after_step":
                found[name][thread != self.thread] += end - start
        return dict(found)

    def write(self, path):
        """For chrome://tracing or ui.perfetto.dev."""
        events = [
            {"name": f"{name}.{what}", "ph": "X", "pid": 0, "tid": thread, "ts": 1e6 * start,
             "dur": 1e6 * (end - start)}
            for name, what, thread, start, end in self.spans
        ]  # fmt: skip
        Path(path).write_text(json.dumps({"traceEvents": events}))


def now():
    return time.perf_counter(), time.process_time()


def since(start):
    return tuple(b - a for a, b in zip(start, now(), strict=True))


class Sessions:
    """A session whose batches lie ready, with its log and its seeds."""

    def __init__(self, gp, folder):
        import numpy as np
        import torch

        from voxflow.training import Session

        torch.set_num_threads(1)
        raw, target, out = (gp.ArrayKey(name) for name in ("RAW", "TARGET", "OUT"))
        rng = np.random.default_rng(0)
        arrays, request, sources = {}, gp.BatchRequest(), []
        for key, margin in ((raw, 0), (target, 3)):
            roi = gp.Roi((margin,) * 3, (26 - 2 * margin,) * 3)
            data = rng.random((1, 1, *roi.shape), np.float32)
            arrays[key] = torch.from_numpy(data)
            request[key] = roi
            sources.append(gp.ArraySource(key, gp.Array(data, gp.ArraySpec(roi, (1, 1, 1)))))
        model, loss = network(torch), torch.nn.MSELoss()
        optimizer = torch.optim.Adam(model.parameters())

        def bare():
            optimizer.zero_grad()
            value = loss(model(arrays[raw]), arrays[target])
            value.backward()
            optimizer.step()
            return value.item()

        self.turns = Turns(bare)
        # One model for both: the memory that it lies in is the same.
        self.session = Session(
            model,
            loss,
            optimizer,
            self.timed(tuple(sources) + gp.MergeProvider()),
            request,
            inputs=raw,
            outputs=out,
            loss_inputs=[out, target],
            hooks=[self.turns],
            run_dir=folder,
            stop_after=0,
            device="cpu",
        )

    def timed(self, pipeline):
        """A pipeline that notes what its batches cost."""
        request_batch = pipeline.request_batch

        def timed(request):
            start = now()
            batch = request_batch(request)
            self.turns.batches.append(since(start))
            return batch

        pipeline.request_batch = timed
        return pipeline

    def run(self, count):
        """Make steps; wall and processor seconds of each, of either side."""
        turns = self.turns
        turns.ours, turns.theirs, turns.batches, turns.since = [], [], [], None
        self.session.stop_rules[0].steps += count + 1
        self.session.run()
        # The step before the first that is timed had a batch, too.
        batches = turns.batches[-len(turns.ours) :]
        return {"ours": turns.ours, "theirs": turns.theirs, "batches": batches}

    def watched(self, count, every, trace=None):
        """Steps with what watches a run; seconds by hook, and those of all steps."""
        from voxflow import training

        session = self.session
        session.stop_rules[0].steps += count
        steps = Seconds()
        watching = [
            training.Recorder(),
            training.Status(every, stream=io.StringIO(), live=False),
            training.Plots(every, pause=0),
            training.Previews(every=every),
        ]
        session.hooks = type(session.hooks)([steps, *watching], session.record)
        traced = Trace(session)
        session.run()
        if trace is not None:
            traced.write(trace)
        return {"hooks": traced.sums(), "steps": steps.total}


class Seconds:
    """A hook that sums up how long steps take, without hooks."""

    total = 0.0

    def after_step(self, session, step):
        self.total += step.seconds


@contextlib.contextmanager
def opened(library):
    """A session in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        yield Sessions(library, folder)


if __name__ == "__main__":
    serve(opened)
