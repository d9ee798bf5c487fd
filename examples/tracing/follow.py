"""Train an agent that follows tubes in noise, and see how far it gets before it is lost.

    python examples/tracing/follow.py [--steps 400] [--out runs/tracing]

The tubes are invented. What the agent learns from are places near their skeletons.
"""

import argparse
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

import voxflow as vf
from voxflow.training import Every, Plots, Recorder, Regression, Session, Status

RAW, SKELETON, PATH = vf.ArrayKey("RAW"), vf.GraphKey("SKELETON"), vf.GraphKey("PATH")
HEADING, AHEAD, MOVE = (vf.ArrayKey(name) for name in ("HEADING", "AHEAD", "MOVE"))

SIZE = 160  # of an image
RADIUS = 4.0  # of a tube
PATCH = 17  # what the agent sees
STEP = 3.0  # how far it goes at once
JITTER = 5  # it learns from places so far around the skeleton


class Tube(NamedTuple):
    image: np.ndarray  # float32, shape (SIZE, SIZE)
    path: np.ndarray  # points of the skeleton, one pixel apart, shape (points, 2)


def make_tube(rng):
    """A tube that winds from left to right, and noise."""
    turns = np.convolve(rng.normal(0, 0.12, 3 * SIZE), np.ones(15) / 4, "same")
    angles = np.clip(np.cumsum(turns), -1.2, 1.2)
    steps = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    path = np.array([SIZE / 2, 12.0]) + np.cumsum(steps, axis=0)
    inside = ((path > 12) & (path < SIZE - 12)).all(axis=1)
    path = path[: len(path) if inside.all() else int(inside.argmin())]
    empty = np.ones((SIZE, SIZE), bool)
    empty[tuple(path.astype(int).T)] = False
    far = distance_transform_edt(empty)
    image = np.exp(-((far / RADIUS) ** 2)) + rng.normal(0, 0.25, empty.shape)
    return Tube(image.astype(np.float32), path)


def make_tubes(count, seed):
    """Tubes that are long enough to get lost in."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        tube = make_tube(rng)
        if len(tube.path) > 80:
            found.append(tube)
    return found


class LookAhead(vf.BatchFilter):
    """Says where an agent in the middle of the patch comes from, and where it is to go.

    `HEADING` is the direction along the skeleton, one way or the other, a bit off. `AHEAD` is what
    leads from the middle to the point of the skeleton that is a step farther.
    """

    def setup(self):
        for key in (HEADING, AHEAD):
            self.provides(key, vf.ArraySpec(nonspatial=True, dtype=np.float32))

    def draw(self, request, rng):
        return rng.choice([-1, 1]), rng.normal(0, 0.2)

    def prepare(self, request):
        needed, half = vf.BatchRequest(), vf.Coordinate((JITTER // 2, JITTER // 2))
        middle = request[RAW].roi.offset + request[RAW].roi.shape // 2
        needed[RAW] = request[RAW]
        # A point of the skeleton is to be near the middle; of the path, more is needed.
        needed[SKELETON] = vf.GraphSpec(vf.Roi(middle - half, half * 2 + 1))
        needed[PATH] = vf.GraphSpec(request[RAW].roi)
        return needed

    def process(self, batch, request):
        way, off = self.plan(request)
        roi = request[RAW].roi
        middle = np.array(roi.offset, float) + np.array(roi.shape, float) / 2
        nodes = sorted(batch[PATH].nodes, key=lambda node: node.id)
        path = np.array([node.location for node in nodes])
        # Where it leaves the patch it is cut, and points at the border come last.
        cuts = np.flatnonzero(np.linalg.norm(np.diff(path, axis=0), axis=1) > 1.5) + 1
        runs = np.split(path, cuts)
        far = [np.linalg.norm(run - middle, axis=1) for run in runs]
        nearest = min(range(len(runs)), key=lambda i: far[i].min())
        path, near = runs[nearest], int(far[nearest].argmin())
        heading = way * tangent(path, near)
        turn = np.array([[np.cos(off), -np.sin(off)], [np.sin(off), np.cos(off)]])
        ahead = path[np.clip(near + way * round(STEP), 0, len(path) - 1)] - middle
        for key, value in ((HEADING, turn @ heading), (AHEAD, ahead)):
            spec = vf.ArraySpec(nonspatial=True, dtype=np.float32)
            batch[key] = vf.Array(value.astype(np.float32), spec)


def tangent(path, at):
    """The direction of a path, of length 1."""
    along = path[min(at + 2, len(path) - 1)] - path[max(at - 2, 0)]
    return along / max(np.linalg.norm(along), 1e-9)


def make_pipeline(tubes, batch_size=16):
    def source(tube):
        roi = vf.Roi((0, 0), (SIZE, SIZE))
        nodes = [vf.Node(i, point) for i, point in enumerate(tube.path)]
        edges = [vf.Edge(i, i + 1) for i in range(len(nodes) - 1)]
        graph = vf.Graph(nodes, edges, vf.GraphSpec(roi))
        image = vf.ArraySource(RAW, vf.Array(tube.image, vf.ArraySpec(roi, (1, 1))))
        skeletons = [vf.GPGraphSource(key, graph) for key in (SKELETON, PATH)]
        place = vf.RandomLocation(ensure_nonempty=SKELETON)
        return (image, *skeletons) + vf.MergeProvider() + place

    sources = tuple(source(tube) for tube in tubes)
    return sources + vf.RandomProvider() + LookAhead() + vf.Stack(batch_size)


class Agent(torch.nn.Module):
    """Sees a patch and where it comes from, and says where to go."""

    def __init__(self, features=32):
        super().__init__()
        self.seen = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 5, stride=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 8, 3),
            torch.nn.ReLU(),
        )
        side = (PATCH - 5) // 2 + 1 - 2
        self.decided = torch.nn.Sequential(
            torch.nn.Linear(8 * side**2 + 2, features),
            torch.nn.ReLU(),
            torch.nn.Linear(features, 2),
        )

    def forward(self, patch, heading):
        seen = self.seen(patch[:, None]).flatten(1)
        return self.decided(torch.cat([seen, heading], dim=1))


def zoned_loss(move, ahead, radius=RADIUS):
    """Nothing in the inner third of a tube, from there on the distance, outside a tenth of it."""
    off = (move - ahead).norm(dim=1)
    inner = radius / 3
    inside = (off.clamp(max=radius) - inner).clamp(min=0)
    return (inside + 0.1 * (off - radius).clamp(min=0)).mean()


@torch.no_grad()
def traced(agent, tubes, most=200):
    """How far an agent follows each tube from its beginning, in pixels, until it is lost.

    It is lost outside of the tube, and where it turns back.
    """
    places = np.array([tube.path[4] for tube in tubes])
    headings = np.array([tangent(tube.path, 4) for tube in tubes])
    reached, going = np.full(len(tubes), 4), np.ones(len(tubes), bool)
    for _ in range(most):
        patches = np.stack([cut_out(t.image, p) for t, p in zip(tubes, places, strict=True)])
        given = torch.from_numpy(patches), torch.from_numpy(headings.astype(np.float32))
        moves = agent(*given).numpy().astype(float)
        headings = moves / np.maximum(np.linalg.norm(moves, axis=1, keepdims=True), 1e-9)
        places = places + STEP * headings * going[:, None]
        for i, tube in enumerate(tubes):
            far = np.linalg.norm(tube.path - places[i], axis=1)
            at = int(far.argmin())
            going[i] &= far[at] <= RADIUS and at > reached[i]
            reached[i] = at if going[i] else reached[i]
        if not going.any():
            break
    return reached - 4


def cut_out(image, place):
    """The patch around a place."""
    padded = np.pad(image, PATCH // 2)
    y, x = np.clip(np.floor(place).astype(int), 0, SIZE - 1)
    return padded[y : y + PATCH, x : x + PATCH]


class Traces:
    """Follows tubes that the training does not see: a hook."""

    def __init__(self, tubes, every):
        self.tubes = tubes
        self.every = Every(steps=every, at_start=True)
        self.lengths = {}

    def begin(self, session):
        self.look(session)

    def after_step(self, session, step):
        self.look(session)

    def look(self, session):
        if self.every.due(session.moment) is not None:
            with session.paused():
                self.lengths[session.step] = float(traced(session.model, self.tubes).mean())
            session.record({"trace.length": self.lengths[session.step]})


def make_session(steps=400, out=None, every=100, hooks=()):
    request = vf.BatchRequest()
    request.add(RAW, (PATCH, PATCH))
    for key in (HEADING, AHEAD):
        request[key] = vf.ArraySpec(nonspatial=True)
    torch.manual_seed(0)
    agent = Agent()
    return Session(
        agent,
        zoned_loss,
        torch.optim.Adam(agent.parameters(), lr=3e-3),
        make_pipeline(make_tubes(6, seed=1)),
        request,
        inputs=[RAW, HEADING],
        outputs=MOVE,
        loss_inputs=[MOVE, AHEAD],
        hooks=[Traces(make_tubes(8, seed=2), every), *hooks],
        run_dir=out,
        stop_after=steps,
        seed=3,
        device="cpu",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", default="runs/tracing")
    given = parser.parse_args()
    recorder = Recorder()
    seen = [recorder, Status(100), Plots(100), Regression(every=100, images=recorder)]
    session = make_session(given.steps, given.out, hooks=seen)
    session.run()
    for step, length in next(h for h in session.hooks if isinstance(h, Traces)).lengths.items():
        print(f"after {step} steps the agent follows a tube for {length:.0f} pixels")


if __name__ == "__main__":
    main()
