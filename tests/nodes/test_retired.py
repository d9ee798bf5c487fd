import pytest

import voxflow as gp


@pytest.mark.parametrize(
    ("name", "arguments", "instead"),
    [
        ("AddBlobsFromPoints", ({},), "RasterizeGraph"),
        ("AddGtMaskExclusiveZone", ({},), "RasterizeGraph"),
        ("AddNonsymmetricAffinities", ([[1, 0, 0]], 1, 2, 3, 4), "AddAffinities"),
        ("DvidPartnerAnnotationSource", ("host", 8000, "a1"), "GPGraphSource"),
        ("Hdf5PointsSource", ("file.hdf", {}, {}), "GPGraphSource"),
    ],
)
def test_their_use_says_what_to_take_instead(name, arguments, instead):
    with pytest.raises(NotImplementedError, match=f"{name} was written .* {instead}"):
        getattr(gp.contrib, name)(*arguments)
