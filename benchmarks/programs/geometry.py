"""Coordinates and regions, operator by operator: gunpowder's (funlib.geometry) and voxflow's."""

import contextlib
import time

from serve import serve


class Geometry:
    """Calls of which each takes nanoseconds."""

    def __init__(self, gp):
        self.cases = cases(gp)

    def names(self, count):
        return list(self.cases)

    def run(self, name, count):
        """Call something often."""
        case = self.cases[name]
        start = time.perf_counter()
        for _ in range(count):
            case()
        return {"wall": time.perf_counter() - start}


def cases(room):
    """The same calls with the classes of either package."""
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


@contextlib.contextmanager
def open_work(gp):
    yield Geometry(gp)


if __name__ == "__main__":
    serve(open_work)
