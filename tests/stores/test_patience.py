import subprocess
import sys
import time

import numpy as np
import pytest

from tests.stores.servers import Moods, moody_server
from voxflow.stores import (
    DatasetNotFound,
    ReadOnly,
    StoreUnreachable,
    StoreUnusable,
    create_dataset,
    open_dataset,
)
from voxflow.stores.patience import VARIABLE, patience, retries
from voxflow.testing.stores import ramp

DATA = ramp((5, 9), "u2")
PASSING = ("reset", "cut", 408, 429, 500, 502, 503, 504)


def make(folder, name):
    create_dataset(folder / name, "raw", DATA.shape, "u2", chunks=(5, 9)).write((), DATA)


MOODS = [*(("n5", mood) for mood in PASSING), ("zarr", "reset"), ("zarr", 503)]


@pytest.mark.parametrize(("suffix", "mood"), MOODS)
def test_what_passes_is_not_noticed(tmp_path, suffix, mood):
    make(tmp_path, name := f"a.{suffix}")
    moods = Moods(mood)
    with moody_server(tmp_path, moods) as url:
        raw = open_dataset(f"{url}/{name}", "raw")
        moods.moods += [mood] * 2
        before = len(moods.asked)
        np.testing.assert_array_equal(raw.read(()), DATA)
        assert len(moods.asked) >= before + 3


@pytest.mark.parametrize(("suffix", "mood"), [*MOODS, ("n5", "hang"), ("zarr", "hang")])
def test_what_does_not_pass_is_an_error_in_time(tmp_path, monkeypatch, suffix, mood):
    make(tmp_path, name := f"a.{suffix}")
    moods = Moods()
    with moody_server(tmp_path, moods) as url:
        raw = open_dataset(f"{url}/{name}", "raw")
        moods.then = mood
        monkeypatch.setenv(VARIABLE, "0.3")
        begin = time.monotonic()
        with pytest.raises(StoreUnreachable, match=f"{name}.*read.*{VARIABLE}.* now 0.3") as lost:
            raw.read((slice(1, 3),))
        assert time.monotonic() - begin < 10
        assert lost.value.__notes__ == ["It was asked for voxels [1:3, 0:9]."]
        with pytest.raises(StoreUnreachable, match=f"{url}/{name}"):
            open_dataset(f"{url}/{name}", "raw")
        moods.then = None
        monkeypatch.delenv(VARIABLE)
        np.testing.assert_array_equal(raw.read(()), DATA)


@pytest.mark.parametrize(("code", "error"), [(403, ReadOnly), (404, DatasetNotFound)])
@pytest.mark.parametrize("name", ["a.n5", "a.zarr"])
def test_what_cannot_pass_is_not_asked_for_again(tmp_path, name, code, error):
    make(tmp_path, name)
    moods = Moods(then=code)
    with moody_server(tmp_path, moods) as url:
        with pytest.raises(error):
            open_dataset(f"{url}/{name}", "raw")
        assert len(moods.asked) == len(set(moods.asked))


def test_damaged_chunks_are_not_asked_for_again(tmp_path):
    create_dataset(tmp_path / "a.n5", "raw", (9,), "u2", compression="gzip").write((), DATA[0])
    chunk = tmp_path / "a.n5/raw/0"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    moods = Moods()
    with moody_server(tmp_path, moods) as url:
        with pytest.raises(StoreUnusable, match="damaged"):
            open_dataset(f"{url}/a.n5", "raw").read(())
        assert sum(path.endswith("/0") for path in moods.asked) == 1


@pytest.mark.parametrize("suffix", ["zarr", "n5"])
def test_a_server_that_takes_nothing(tmp_path, suffix, monkeypatch):
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    monkeypatch.setenv(VARIABLE, "0.5")
    moods = Moods()
    with moody_server(tmp_path, moods) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for moods.then in (503, "hang"):
            with pytest.raises(StoreUnreachable, match=f"s3://data/a.{suffix}.*run it again"):
                create_dataset(f"s3://data/a.{suffix}", "raw", DATA.shape, "u2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.n5", "a.zarr"])
def test_a_request_that_nothing_comes_of_is_sent_again(tmp_path, name):
    make(tmp_path, name)
    moods = Moods("hang")
    code = "import sys; from voxflow.stores import open_dataset as o; print(o(sys.argv[1], 'raw'))"
    with moody_server(tmp_path, moods) as url:
        command = [sys.executable, "-c", code, f"{url}/{name}"]
        ran = subprocess.run(
            command, env={VARIABLE: "6"}, timeout=110, capture_output=True, text=True, check=True
        )
    assert "shape (5, 9)" in ran.stdout
    assert moods.asked.count(moods.asked[0]) >= 2


@pytest.mark.parametrize("name", ["a.n5", "a.zarr"])
def test_a_process_ends_while_a_server_hangs(tmp_path, name):
    moods = Moods(then="hang")
    code = (
        "import sys; from voxflow.stores import open_dataset, StoreUnreachable\n"
        "try: open_dataset(sys.argv[1], 'raw')\n"
        "except StoreUnreachable: print('lost')"
    )
    with moody_server(tmp_path, moods) as url:
        command = [sys.executable, "-c", code, f"{url}/{name}"]
        ran = subprocess.run(
            command, env={VARIABLE: "1"}, timeout=110, capture_output=True, text=True, check=True
        )
    assert ran.stdout == "lost\n"


def test_how_long(monkeypatch):
    assert patience() == 45
    for seconds in (1, 45, 600):
        monkeypatch.setenv(VARIABLE, str(seconds))
        told = retries()
        first, longest = float(told["initial_delay"][:-1]), float(told["max_delay"][:-1])
        pauses = [min(first * 2**n, longest) for n in range(told["max_retries"])]
        assert 0.7 * seconds <= sum(pauses) <= 0.9 * seconds
    for wrong in ("soon", "0", "-1", "inf", "nan"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(ValueError, match=f"{VARIABLE}.*{wrong}"):
            patience()
