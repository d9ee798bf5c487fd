"""A small disk and a server, to fill and to lose. The scripts are run by tests, not imported."""

import os
import shutil
import subprocess

import pytest

import voxflow as gp
from tests.stores.servers import s3_server

collect_ignore = ["scripts"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 6 MB, and its free space as a function."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.call(mount):
        pytest.skip("no file systems can be mounted here")
    try:
        yield disk
    finally:
        gp.stores.close_all()
        subprocess.check_call(["umount", "-l", str(disk)])


@pytest.fixture(scope="module")
def s3_port():
    pytest.importorskip("moto")
    with s3_server() as port:
        yield port
