"""Our geometry beside funlib.geometry, operator by operator, for whole values.

Run it as ``python -m benchmarks.geometry``. Both sides take turns, so that a busy machine slows
both; the table shows the median over the rounds. A ratio below 1 means that ours is faster.
"""

import argparse
import statistics
import timeit
from collections.abc import Callable
from typing import Any

import funlib.geometry

from voxflow.pipeline import geometry

Case = Callable[[], object]


def cases(room: Any) -> dict[str, Case]:
    """Make the same calls with the classes of either package."""
    c, d = room.Coordinate(120, 48, 60), room.Coordinate(40, 4, 4)
    roi, other = room.Roi((40, 40, 40), (400, 400, 400)), room.Roi((80, 80, 80), (800, 200, 200))
    far, inner = room.Roi((900, 0, 0), (40, 4, 4)), room.Roi((80, 80, 80), (40, 40, 40))
    entries, one = (1, 2, 3), room.Coordinate(2, 2, 2)
    rois = {
        "Roi(tuple, tuple)": lambda: room.Roi(entries, entries),
        "Roi(c, c)": lambda: room.Roi(c, d),
        "roi.offset": lambda: roi.offset,
        "roi.begin": lambda: roi.begin,
        "roi.end": lambda: roi.end,
        "Roi(c, c).end": lambda: room.Roi(c, d).end,
        "roi.center": lambda: roi.center,
        "roi.size": lambda: roi.size,
        "roi.dims": lambda: roi.dims,
        "roi.empty": lambda: roi.empty,
        "Roi(c, c).empty": lambda: room.Roi(c, d).empty,
        "roi.unbounded": lambda: roi.unbounded,
        "roi.to_slices()": lambda: roi.to_slices(),
        "roi.contains(roi)": lambda: roi.contains(inner),
        "roi.contains(roi), outside": lambda: roi.contains(other),
        "roi.contains(point)": lambda: roi.contains(c),
        "roi.intersects(roi)": lambda: roi.intersects(other),
        "roi.intersects(roi), apart": lambda: roi.intersects(far),
        "roi.intersect(roi)": lambda: roi.intersect(other),
        "roi.intersect(roi), apart": lambda: roi.intersect(far),
        "roi.union(roi)": lambda: roi.union(other),
        "roi.shift(c)": lambda: roi.shift(d),
        "roi.grow(c, c)": lambda: roi.grow(d, d),
        "roi.grow(1, 1)": lambda: roi.grow(1, 1),
        "roi.snap_to_grid(c)": lambda: roi.snap_to_grid(d),
        "roi.snap_to_grid(c, 'closest')": lambda: roi.snap_to_grid(d, "closest"),
        "roi.squeeze()": lambda: roi.squeeze(),
        "roi.copy()": lambda: roi.copy(),
        "roi + c": lambda: roi + d,
        "roi - c": lambda: roi - d,
        "roi * c": lambda: roi * d,
        "roi / c": lambda: roi / d,
        "roi // c": lambda: roi // d,
        "roi % c": lambda: roi % d,
        "roi == roi": lambda: roi == other,
        "repr(roi)": lambda: repr(roi),
    }
    coordinates = {
        "Coordinate(tuple)": lambda: room.Coordinate(entries),
        "Coordinate(list)": lambda: room.Coordinate([1, 2, 3]),
        "Coordinate(1, 2, 3)": lambda: room.Coordinate(1, 2, 3),
        "Coordinate(c)": lambda: room.Coordinate(c),
        "c + c": lambda: c + d,
        "c + 1": lambda: c + 1,
        "c - c": lambda: c - d,
        "c - 1": lambda: c - 1,
        "c * c": lambda: c * d,
        "c * 2": lambda: c * 2,
        "c / c": lambda: c / d,
        "c / 2": lambda: c / 2,
        "c // c": lambda: c // d,
        "c // 2": lambda: c // 2,
        "c % c": lambda: c % d,
        "c % 2": lambda: c % 2,
        "c ** c": lambda: c**one,
        "c ** 2": lambda: c**2,
        "-c": lambda: -c,
        "abs(c)": lambda: abs(c),
        "c.floor_division(c)": lambda: c.floor_division(d),
        "c.ceil_division(c)": lambda: c.ceil_division(d),
        "c.round_division(c)": lambda: c.round_division(d),
        "c.is_multiple_of(c)": lambda: c.is_multiple_of(d),
        "c.squeeze()": lambda: c.squeeze(),
        "c == c": lambda: c == d,
        "hash(c)": lambda: hash(c),
        "repr(c)": lambda: repr(c),
        "c[0]": lambda: c[0],
        "c.dims": lambda: c.dims,
        "iterate": lambda: list(c),
    }
    return coordinates | rois


def measure(ours: Case, theirs: Case, rounds: int, number: int) -> tuple[float, float]:
    """Give the median nanoseconds of a call of each, measured in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for case, column in zip((ours, theirs), times, strict=True):
            column.append(timeit.timeit(case, number=number) / number * 1e9)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--number", type=int, default=1000, help="calls in a round")
    arguments = parser.parse_args()
    ours, theirs = cases(geometry), cases(funlib.geometry)
    print(f"{'call':32}{'ours (ns)':>12}{'funlib (ns)':>13}{'ours/funlib':>13}")
    ratios = []
    for name in ours:
        mine, other = measure(ours[name], theirs[name], arguments.rounds, arguments.number)
        ratios.append(mine / other)
        print(f"{name:32}{mine:12.0f}{other:13.0f}{mine / other:13.2f}")
    print(f"{'median of the ratios':32}{statistics.median(ratios):38.2f}")


if __name__ == "__main__":
    main()
