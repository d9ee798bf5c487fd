import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.vectors import Partners, draw_vectors


def vectors_by_hand(shape, middles, partners, radius, origin, size, labels):
    """One voxel after the other, with sorted lists."""
    out = np.zeros((len(shape), *shape), np.float32)
    for number, middle in enumerate(middles):
        targets = partners.targets[partners.starts[number] : partners.starts[number + 1]]
        ball = [
            place
            for place in np.ndindex(*shape)
            if (((np.array(place) - middle) / radius) ** 2).sum() <= 1 + 1e-12
            and (labels is None or labels[place] == labels[tuple(middle)])
        ]
        corners = {place: np.array(place) * size + origin for place in ball}
        share = len(ball) // max(len(targets), 1)
        for turn, target in enumerate(targets):
            taken = ball
            if turn < len(targets) - 1:
                near = sorted(ball, key=lambda place: ((target - corners[place]) ** 2).sum())
                taken = near[:share]
            for place in taken:
                out[(slice(None), *place)] = target - corners[place]
            ball = [place for place in ball if place not in taken]
    return out


@st.composite
def scenes(draw):
    dims = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(rng.integers(1, 8, dims).tolist())
    count = draw(st.integers(0, 3))
    middles = rng.integers(0, shape, (count, dims))
    numbers = rng.integers(0, 4, count)
    targets = rng.uniform(-20, 20, (numbers.sum(), dims))
    partners = Partners(targets, np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64))
    labels = None
    if draw(st.booleans()):
        labels = rng.integers(0, 2, shape).astype(np.uint64) + np.uint64(2**63)
    radius = rng.choice([0.5, 1, 1.5, 2, 3], dims)
    return (
        shape,
        middles,
        partners,
        radius,
        rng.integers(-9, 9, dims),
        rng.uniform(1, 3, dims),
        labels,
    )


@given(scenes())
def test_vectors(scene):
    shape, middles, partners, radius, origin, size, labels = scene
    out = np.zeros((len(shape), *shape), np.float32)
    draw_vectors(out, middles, partners, radius, origin, size, labels)
    expected = vectors_by_hand(shape, middles, partners, radius, origin, size, labels)
    np.testing.assert_allclose(out, expected, atol=1e-5)


@given(scenes())
def test_the_order_of_partners(scene):
    _, middles, partners, *_ = scene
    places = middles.astype(np.float64)
    sorted_ones, nearest = partners.farthest_first(places), partners.nearest(places)
    for n, place in enumerate(places):
        part = slice(partners.starts[n], partners.starts[n + 1])
        targets = partners.targets[part]
        away = np.linalg.norm(targets - place, axis=1)
        np.testing.assert_array_equal(sorted_ones.targets[part], targets[np.argsort(-away)])
        one = nearest.targets[nearest.starts[n] : nearest.starts[n + 1]]
        np.testing.assert_array_equal(one, targets[np.argsort(away)[:1]])
