import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.maps import bent

BEGIN, END = np.array([-40.0, 10.0, 0.0]), np.array([360.0, 410.0, 300.0])
CENTER, HALF = (BEGIN + END) / 2, (END - BEGIN) / 2


def formula(places, twist, stretch):
    """Twist and stretch as they are defined."""
    z, y, x = (places - CENTER).T
    y, x = y * (1 + stretch[0] * x / HALF[2]), x * (1 + stretch[1] * y / HALF[1])
    angle = twist * z / HALF[0]
    turned = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    return np.stack([z, *turned], axis=1) + CENTER


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.26, 0.26), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.integers(0, 2**32))
def test_it_is_the_formula_and_its_inverse(twist, first, second, seed):
    curved = bent(BEGIN, END, twist, (first, second))
    places = np.random.default_rng(seed).uniform(BEGIN, END, (200, 3))
    np.testing.assert_allclose(
        curved.pull(places), formula(places, twist, (first, second)), atol=1e-3
    )
    np.testing.assert_allclose(curved.points(curved.pull(places)), places, atol=1e-5)


def test_a_stretch_is_exact_in_two_and_three_axes():
    places = np.random.default_rng(0).uniform(BEGIN, END, (200, 3))
    want = formula(places, 0.0, (0.1, -0.07))
    np.testing.assert_allclose(bent(BEGIN, END, 0.0, (0.1, -0.07)).pull(places), want, atol=1e-10)
    flat = bent(BEGIN[1:], END[1:], 0.0, (0.1, -0.07))
    np.testing.assert_allclose(flat.pull(places[:, 1:]), want[:, 1:], atol=1e-10)
    assert flat.points(np.zeros((0, 2))).shape == (0, 2)
