"""Optional packages by name."""

import subprocess
import sys

import numpy as np
import pytest
import zarr

from voxflow import ext, version
from voxflow.ext import NoSuchModule, ZarrFile
from voxflow.version_info import Version


def test_a_package_is_itself():
    import h5py

    assert ext.h5py is h5py
    assert ext.zarr is zarr


def test_a_missing_one_raises_the_error_of_its_import_when_it_is_used(monkeypatch):
    monkeypatch.delitem(vars(ext), "pyklb", raising=False)
    monkeypatch.setitem(sys.modules, "pyklb", None)  # what makes an import fail
    missing = ext.pyklb
    assert isinstance(missing, NoSuchModule)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="pyklb"):
            missing.readheader("x.klb")
        with pytest.raises(ModuleNotFoundError, match="pyklb"):
            missing.__version__  # noqa: B018
    assert missing is ext.pyklb
    monkeypatch.delitem(vars(ext), "pyklb")


def test_all_names_are_there_and_no_others():
    for name in ext.__all__:
        getattr(ext, name)
    with pytest.raises(AttributeError, match="nonsense"):
        ext.nonsense  # noqa: B018


def test_nothing_is_loaded_before_it_is_used():
    code = (
        "import sys; from voxflow import ext; ext.ZarrFile; "
        "assert not {'torch', 'h5py', 'jax', 'zarr'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=110)


def test_a_zarr_file_is_the_store_for_a_while(tmp_path):
    with ZarrFile(str(tmp_path / "a.zarr")) as file:
        file.create_array("x", data=np.arange(3))
    with ZarrFile(tmp_path / "a.zarr", mode="r") as file:
        assert list(file["x"][:]) == [0, 1, 2]


def test_versions_have_parts():
    assert str(version) == version.version()
    assert (version.major(), version.minor()) >= (0, 1)
    assert [Version("12.3.4").patch(), Version("12.3.4").tag()] == [4, ""]
    with pytest.raises(ValueError, match=r"major\.minor\.patch"):
        Version("1.2")
