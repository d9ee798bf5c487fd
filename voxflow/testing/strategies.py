"""Hypothesis strategies for the geometry: numbers, coordinates, voxel sizes and regions.

They need the package ``hypothesis``. ``dims=None`` draws from one to four dimensions.
"""

from fractions import Fraction

from hypothesis import strategies as st

from voxflow.pipeline.geometry import Coordinate, Exact, Roi, exact

__all__ = [
    "coordinates",
    "exact_numbers",
    "rois",
    "rois_on_grid",
    "voxel_sizes",
]

REACH = 10_000
"""How far from zero the numbers lie."""


def exact_numbers(
    low: int = -REACH, high: int = REACH, *, whole: bool = False
) -> st.SearchStrategy[Exact]:
    """Draw ints and, unless ``whole``, fractions such as 49/5 between ``low`` and ``high``."""
    integers = st.integers(low, high)
    if whole:
        return integers
    fractions = st.fractions(low, high, max_denominator=30).map(exact)
    return st.one_of(integers, fractions)


@st.composite
def coordinates(
    draw: st.DrawFn,
    dims: int | None = None,
    low: int = -REACH,
    high: int = REACH,
    *,
    whole: bool = False,
    unbounded: bool = False,
) -> Coordinate:
    """Draw a coordinate; with ``unbounded``, some entries may be ``None``."""
    entries: st.SearchStrategy[Exact | None] = exact_numbers(low, high, whole=whole)
    if unbounded:
        entries = st.one_of(entries, st.none())
    return Coordinate(draw(st.tuples(*[entries] * _dims(draw, dims))))


@st.composite
def voxel_sizes(draw: st.DrawFn, dims: int | None = None, *, whole: bool = False) -> Coordinate:
    """Draw a voxel size: anisotropic ones, ones, and unless ``whole`` such as 9.8 and 1/3."""
    sizes: list[Exact] = [1, 2, 3, 4, 5, 7, 8, 10, 40]
    if not whole:
        sizes += [Fraction(49, 5), Fraction(1, 2), Fraction(9, 2), Fraction(1, 3)]
    return Coordinate(draw(st.tuples(*[st.sampled_from(sizes)] * _dims(draw, dims))))


@st.composite
def rois(
    draw: st.DrawFn,
    dims: int | None = None,
    *,
    whole: bool = False,
    empty: bool = True,
    unbounded: bool = False,
) -> Roi:
    """Draw a region.

    Parameters
    ----------
    draw
        Given by hypothesis.
    dims
        The number of dimensions.
    whole
        Draw only whole numbers.
    empty
        Draw empty regions too: with a place, and the canonical one.
    unbounded
        Draw regions too that have no bounds in some dimensions.
    """
    count = _dims(draw, dims)
    if empty and draw(st.integers(0, 9)) == 0:
        return Roi((None,) * count, (0,) * count)
    offset = draw(coordinates(count, whole=whole))
    extents = exact_numbers(0 if empty else 1, 200, whole=whole)
    if unbounded:
        return Roi(offset, draw(st.tuples(*[st.one_of(extents, st.none())] * count)))
    return Roi(offset, draw(st.tuples(*[extents] * count)))


@st.composite
def rois_on_grid(
    draw: st.DrawFn,
    voxel_size: Coordinate,
    *,
    low: int = -50,
    high: int = 50,
    least: int = 1,
    most: int = 20,
) -> Roi:
    """Draw a region of ``least`` to ``most`` voxels a side, on the grid of ``voxel_size``.

    Its offset lies between ``low`` and ``high`` voxels.
    """
    offset = draw(coordinates(voxel_size.dims, low, high, whole=True))
    return Roi(offset, draw(coordinates(voxel_size.dims, least, most, whole=True))) * voxel_size


def _dims(draw: st.DrawFn, dims: int | None) -> int:
    return draw(st.integers(1, 4)) if dims is None else dims
