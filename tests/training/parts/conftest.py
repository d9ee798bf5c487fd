"""A volume and its labels, which begin two voxels later and end two before; its configuration."""

import numpy as np
import pytest

import voxflow as gp
from voxflow.training.config import load_config

SIZE = gp.Coordinate((40, 4, 4))


@pytest.fixture
def volume(tmp_path):
    """Write both, filled as a function says of shape and dtype, and read the configuration."""

    def make(text, shape, fill, *assignments, labels=np.uint8):
        for name, begin, dtype in (("raw", 0, np.uint8), ("labels", 2, labels)):
            extent = tuple(n - 2 * begin for n in shape)
            place = gp.stores.Geometry(SIZE, (gp.Coordinate((begin,) * 3) + 1) * SIZE)
            stored = gp.stores.create_dataset(
                tmp_path / "v.zarr", name, extent, dtype, geometry=place, exist="overwrite"
            )
            stored.write(tuple(slice(0, n) for n in extent), fill(extent, dtype))
        (tmp_path / "v.yaml").write_text(text)
        given = ["device=cpu", *assignments]
        return load_config(
            tmp_path / "v.yaml", given, environment={"XDG_CONFIG_HOME": "/nowhere"}
        ).config

    return make
