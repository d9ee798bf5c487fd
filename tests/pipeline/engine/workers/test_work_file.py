"""Work in a file, read by another process."""

import subprocess
import sys

import numpy as np

from voxflow.pipeline.engine.workers.work_file import read_work, write_work


def test_large_arrays_come_back_writable_and_apart(tmp_path):
    large, small = np.arange(10**6), np.arange(10)
    write_work(tmp_path / "work", {"large": large, "small": small, "call": lambda x: x + 1})
    assert (tmp_path / "work").stat().st_size < 10**5
    work = read_work(tmp_path / "work")
    np.testing.assert_array_equal(work["large"], large)
    np.testing.assert_array_equal(work["small"], small)
    assert work["call"](1) == 2
    work["large"][:] = 0  # its own
    np.testing.assert_array_equal(read_work(tmp_path / "work")["large"], large)


def test_what_lives_in_a_script_comes_by_value(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from voxflow.pipeline.engine.workers.work_file import write_work\n"
        "FACTOR = 3\n"
        "class Times:\n"
        "    def __call__(self, x):\n"
        "        return FACTOR * x\n"
        "write_work(Path(sys.argv[1]), Times())\n"
    )
    subprocess.run([sys.executable, script, tmp_path / "work"], check=True)
    code = (
        "import sys; from pathlib import Path; "
        "from voxflow.pipeline.engine.workers.work_file import read_work; "
        "print(read_work(Path(sys.argv[1]))(7), sys.argv)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "work"], check=True, capture_output=True, text=True
    )
    assert found.stdout.startswith("21 ")
    assert str(script) in found.stdout


def test_work_that_is_replaced_stays_for_those_who_have_it(tmp_path):
    before, after = np.arange(10**6), np.arange(10, 20)
    write_work(tmp_path / "work", {"large": before})
    work = read_work(tmp_path / "work")
    for array in (after, np.zeros(10**6, before.dtype), after):
        write_work(tmp_path / "work", {"large": array})
        np.testing.assert_array_equal(read_work(tmp_path / "work")["large"], array)
    np.testing.assert_array_equal(work["large"], before)
    assert not list(tmp_path.glob("*.partial"))
