"""Scripts and modules of gunpowder run on voxflow as they are."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

import voxflow
from tests.integration.data import write_sample

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).parent / "integration" / "scripts" / "as_it_was.py"


def python(*args, cwd, **options):
    """Run Python as a user does, with this tree to be imported."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**plain, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        **options,
    )


def as_gunpowder(*args, cwd):
    return python("-W", "error", "-m", "voxflow.as_gunpowder", *args, cwd=cwd)


def ran(code, tmp_path):
    """Run code in a process in which gunpowder is voxflow; what it printed."""
    (tmp_path / "script.py").write_text(textwrap.dedent(code))
    done = as_gunpowder("script.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("as_gunpowder")
    write_sample(folder / "sample_A.hdf", seed=0)
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    for name in ("as_it_was.py", "package/module.py"):
        (folder / name).write_text(SCRIPT.read_text())
    return folder


@pytest.mark.parametrize(
    "how",
    [["as_it_was.py"], pytest.param(["-m", "package.module"], marks=pytest.mark.slow)],
    ids=" ".join,
)
def test_a_script_runs_as_it_is(work, how):
    assert "import gunpowder as gp" in SCRIPT.read_text()
    assert "__main__" not in SCRIPT.read_text()
    (work / "inverted.hdf").unlink(missing_ok=True)
    segments = set(os.listdir("/dev/shm"))
    done = as_gunpowder(*how, ".", 6, cwd=work)
    assert done.returncode == 0, done.stderr
    file = how[0] if len(how) == 1 else str(work / "package" / "module.py")
    assert f"done 1.4.4 __main__ {[file, '.', '6']}" in done.stdout
    assert set(os.listdir("/dev/shm")) <= segments
    with h5py.File(work / "sample_A.hdf") as sample, h5py.File(work / "inverted.hdf") as made:
        expected = 1 - sample["volumes/raw"][:].astype(np.float32) / np.float32(255)
        np.testing.assert_allclose(made["inverted"][:], expected, rtol=0, atol=1e-6)
    # A level that was set on gunpowder's logger.
    assert "voxflow.nodes.sinks.print_profiling_stats" in done.stderr


def test_arguments_and_exit_codes_are_the_script_s(tmp_path):
    (tmp_path / "script.py").write_text("import sys\nprint(sys.argv)\nsys.exit(int(sys.argv[2]))\n")
    done = as_gunpowder("script.py", "--help", "7", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, "['script.py', '--help', '7']\n")
    (tmp_path / "module.py").write_text("import sys\nprint(sys.argv[1:], __package__ == '')\n")
    done = as_gunpowder("-m", "module", "-m", "x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "['-m', 'x'] True\n")


def test_a_package_runs_its_main(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    main = tmp_path / "package" / "__main__.py"
    main.write_text("import sys\nimport gunpowder\nprint(__name__, __package__, sys.argv)\n")
    done = as_gunpowder("-m", "package", "x", cwd=tmp_path)
    assert done.stdout == f"__main__ package {[str(main), 'x']}\n", done.stderr


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        ([], 2, "usage: python -m voxflow.as_gunpowder"),
        (["-m"], 2, "usage: python -m voxflow.as_gunpowder"),
        (["nowhere.py"], 1, "can't open file 'nowhere.py': No such file"),
        (["-m", "nowhere.module"], 1, "No module named 'nowhere.module'"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path, args, code, told):
    done = as_gunpowder(*args, cwd=tmp_path)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [["script.py"], ["-m", "script"]], ids=" ".join)
def test_a_traceback_is_that_of_the_script(tmp_path, how):
    code = "import gunpowder as gp\n\ndef fail():\n    raise KeyError('mine')\n\nfail()\n"
    (tmp_path / "script.py").write_text(code)
    ours = as_gunpowder(*how, cwd=tmp_path)
    file = "script.py" if how == ["script.py"] else tmp_path / "script.py"
    assert ours.returncode == 1
    assert ours.stderr == (
        "Traceback (most recent call last):\n"
        f'  File "{file}", line 6, in <module>\n'
        "    fail()\n"
        f'  File "{file}", line 4, in fail\n'
        "    raise KeyError('mine')\n"
        "KeyError: 'mine'\n"
    )


def test_a_debugger_stops_in_the_script(tmp_path):
    (tmp_path / "script.py").write_text("import gunpowder as gp\nx = 5\nbreakpoint()\nx += 1\n")
    command = ["-m", "voxflow.as_gunpowder", "script.py"]
    done = python(*command, cwd=tmp_path, input="p x, gp.Roi.__module__\nlist\ncontinue\n")
    assert done.returncode == 0, done.stderr
    assert "script.py(4)<module>()" in done.stdout
    assert "(5, 'voxflow.pipeline.geometry.roi')" in done.stdout
    assert "  4  ->" in done.stdout
    post = python("-m", "pdb", "-c", "continue", *command, cwd=tmp_path, input="w\nq\n")
    assert "script.py(4)<module>()" in post.stdout


def test_a_mistake_in_the_syntax_is_shown_where_it_is(tmp_path):
    (tmp_path / "script.py").write_text("import gunpowder\nx = (\n")
    done = as_gunpowder("script.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith('  File "script.py", line 2\n')
    assert "SyntaxError" in done.stderr


def test_a_script_is_main_for_pickle_and_finds_what_lies_beside_it(tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 3\n")
    (tmp_path / "script.py").write_text(
        "import pickle\nfrom beside import VALUE\nclass A: pass\n"
        "assert type(pickle.loads(pickle.dumps(A()))) is A\nprint(VALUE, __spec__, __file__)\n"
        "def plain(x: int): pass\nassert plain.__annotations__ == {'x': int}\n"
    )
    (tmp_path / "elsewhere").mkdir()
    done = as_gunpowder("../script.py", cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 None ../script.py\n"


MODULES = """
array array_spec batch batch_request build coordinate ext freezable graph graph_spec morphology
ndarray pipeline producer_pool profiling provider_spec roi nodes nodes.batch_provider
nodes.batch_filter nodes.generic_train nodes.generic_predict nodes.hdf5like_source_base
nodes.hdf5like_write_base nodes.rasterize_graph nodes.scan nodes.random_location nodes.precache
torch torch.nodes torch.nodes.train torch.nodes.predict jax jax.nodes contrib contrib.nodes
tensorflow zoo version_info
"""

NAMES = """
gunpowder.array: Array ArrayKey ArrayKeys
gunpowder.array_spec: ArraySpec
gunpowder.batch: Batch
gunpowder.batch_request: BatchRequest
gunpowder.build: build
gunpowder.coordinate: Coordinate
gunpowder.ext: torch NoSuchModule ZarrFile
gunpowder.freezable: Freezable
gunpowder.graph: Edge Graph GraphKey GraphKeys Node
gunpowder.graph_spec: GraphSpec
gunpowder.nodes: RandomLocation Scan random_location
gunpowder.nodes.astype: AsType
gunpowder.nodes.batch_filter: BatchFilter BatchFilterError
gunpowder.nodes.batch_provider: BatchProvider BatchRequestError
gunpowder.nodes.generic_predict: GenericPredict PredictProcessDied
gunpowder.nodes.generic_train: GenericTrain TrainProcessDied
gunpowder.nodes.hdf5like_source_base: Hdf5LikeSource
gunpowder.nodes.hdf5like_write_base: Hdf5LikeWrite
gunpowder.nodes.precache: PreCache
gunpowder.nodes.scan: Scan ScanCallback
gunpowder.pipeline: Pipeline PipelineRequestError PipelineSetupError PipelineTeardownError
gunpowder.producer_pool: NoResult ParentDied ProducerPool WorkersDied
gunpowder.profiling: ProfilingStats Timing TimingSummary
gunpowder.provider_spec: ProviderSpec
gunpowder.roi: Roi
gunpowder.tensorflow: LocalServer Predict Train
gunpowder.torch: Predict Train
gunpowder.torch.nodes.predict: Predict
gunpowder.torch.nodes.train: Train
"""


IMPORTS = [f"import gunpowder.{module}" for module in MODULES.split()] + [
    f"from {module} import {', '.join(names.split())}"
    for module, names in (line.split(": ") for line in NAMES.strip().splitlines())
]

TRIED = """
import json, sys, traceback
failed = {}
for line in json.loads(sys.argv[1]):
    try:
        exec(line)
    except Exception as error:
        failed[line] = repr(error)
print(json.dumps(failed))
"""


def test_modules_resolve_and_hold_what_they_held(tmp_path):
    (tmp_path / "script.py").write_text(TRIED)
    done = as_gunpowder("script.py", json.dumps(IMPORTS), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


NODE_FILES = """
add_affinities array_source astype balance_labels crop daisy_request_blocks elastic_augment
grow_boundary hdf5_source hdf5_write intensity_augment intensity_scale_shift merge_provider
noise_augment normalize pad precache print_profiling_stats random_location random_provider reject
scan simple_augment snapshot specified_location squeeze stack unsqueeze zarr_source zarr_write
csv_points_source defect_augment deform_augment downsample dvid_source exclude_labels
gp_array_source gp_graph_source graph_source iterate_locations klb_source rasterize_graph
renumber_connected_components resample shift_augment upsample
"""


def test_there_is_a_file_for_each_node():
    place = voxflow.as_gunpowder._place
    assert [file for file in NODE_FILES.split() if place(f"nodes.{file}") is None] == []
    assert place("nodes.precache") == "voxflow.nodes.flow.precache"
    assert place("nodes.pre_cache") is None


def test_what_was_seen_through_star_imports_is_seen(tmp_path):
    code = """
        import gunpowder as gp
        import gunpowder.build
        import gunpowder.nodes.scan
        from types import ModuleType

        for name in ("random_location", "astype", "batch_filter", "ext", "graph", "torch"):
            assert isinstance(getattr(gp, name), ModuleType), name
        assert gp.random_location.RandomLocation is gp.RandomLocation is gp.nodes.RandomLocation
        assert callable(gp.build) and gp.build is not gunpowder.build.__class__
        from gunpowder import *
        assert RandomLocation is gp.RandomLocation and random_location is gp.random_location
        assert build is gp.build
        import voxflow
        assert Roi is voxflow.Roi and voxflow.build is build
        assert (gp.version.major(), gp.version.minor(), gp.version.patch()) == (1, 4, 4)
        assert gp.version.tag() == "" and gp.version.version() == str(gp.version) == "1.4.4"
    """
    ran(code, tmp_path)


def test_modules_travel(tmp_path):
    code = """
        import pickle
        import dill
        import gunpowder as gp
        import gunpowder.nodes.scan

        for module in (gp, gp.torch, gunpowder.nodes.scan):
            assert pickle.loads(pickle.dumps(module)) is module
            assert dill.loads(dill.dumps(module)) is module

        class Mine(ValueError):
            def size(self):
                return gp.Coordinate((1, 2))

        class Fails(gp.BatchFilter):
            def process(self, batch, request):
                raise Mine("what I say")

        a = gp.ArrayKey("A")
        spec = gp.ArraySpec(gp.Roi((0,), (4,)), (1,))
        import numpy as np
        request = gp.BatchRequest()
        request.add(a, (4,))
        zeros = gp.ArraySource(a, gp.Array(np.zeros(4), spec))
        pipeline = zeros + Fails() + gp.PreCache(num_workers=1)
        with gp.build(pipeline):
            try:
                pipeline.request_batch(request)
            except Mine as error:
                assert error.size() == (1, 2)
                print("told", error)
    """
    assert "told what I say" in ran(code, tmp_path)


def test_nothing_is_loaded_before_it_is_used(tmp_path):
    code = """
        import sys
        import gunpowder as gp
        import gunpowder.torch, gunpowder.jax, gunpowder.tensorflow, gunpowder.contrib
        heavy = {"torch", "jax", "h5py", "zarr", "skimage", "daisy"} & sys.modules.keys()
        assert not heavy, heavy
    """
    ran(code, tmp_path)


def test_what_is_not_there_is_said(tmp_path):
    code = """
        import gunpowder as gp
        try:
            gp.NoSuchNode
        except AttributeError as error:
            assert "'gunpowder' has no attribute 'NoSuchNode'" in str(error), error
        try:
            import gunpowder.nodes.no_such_node
        except ModuleNotFoundError as error:
            assert "gunpowder.nodes.no_such_node" in str(error), error
        else:
            raise SystemError
    """
    ran(code, tmp_path)


INSTALLED = "ours = False\ndef build():\n    return 'theirs'\n"


def test_an_installed_gunpowder_is_shadowed_only_after_install(tmp_path):
    (tmp_path / "gunpowder").mkdir()
    (tmp_path / "gunpowder" / "__init__.py").write_text(INSTALLED)
    script = tmp_path / "script.py"
    script.write_text(
        "import voxflow.as_gunpowder\n"
        "import gunpowder\nassert gunpowder.build() == 'theirs'\n"
        "try:\n    voxflow.as_gunpowder.install()\n"
        "except RuntimeError as error:\n    assert 'imported already' in str(error)\n"
        "else:\n    raise SystemError\n"
        "import sys\ndel sys.modules['gunpowder']\n"
        "voxflow.as_gunpowder.install()\nvoxflow.as_gunpowder.install()\n"
        "import gunpowder\nassert gunpowder.build is voxflow.build\n"
        "assert len([f for f in sys.meta_path if 'as_gunpowder' in type(f).__module__]) == 1\n"
    )
    done = python(script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_nodes_of_a_module_beside_the_script_reach_the_workers(tmp_path, method):
    (tmp_path / "mine.py").write_text(
        "from gunpowder.nodes.batch_filter import BatchFilter\n"
        "import gunpowder as gp\n"
        "class Double(BatchFilter):\n"
        "    def process(self, batch, request):\n"
        "        import gunpowder.nodes.pad\n"
        "        array = batch[gp.ArrayKeys.A]\n"
        "        array.data = array.data * 2\n"
    )
    code = f"""
        import gunpowder as gp
        import numpy as np
        from mine import Double

        a = gp.ArrayKey("A")
        spec = gp.ArraySpec(gp.Roi((0, 0), (6, 8)), (1, 1))
        image = gp.Array(np.arange(48.).reshape(6, 8), spec)
        request = gp.BatchRequest()
        request.add(a, (3, 3))

        class Triple(gp.BatchFilter):
            def process(self, batch, request):
                array = batch[a]
                array.data = array.data * np.float32(gp.Coordinate((3,))[0])

        scan = gp.Scan(request, num_workers=2, method={method!r})
        pipeline = gp.ArraySource(a, image) + Double() + Triple() + scan
        with gp.build(pipeline):
            whole = gp.BatchRequest()
            whole[a] = spec.roi
            assert (pipeline.request_batch(whole)[a].data == 6 * image.data).all()
    """
    ran(code, tmp_path)


def test_levels_and_handlers_of_its_loggers_are_those_of_ours(tmp_path):
    code = """
        import logging
        import gunpowder as gp

        logging.getLogger("gunpowder.nodes.scan").setLevel(logging.DEBUG)
        logging.getLogger("gunpowder.torch.nodes.train").setLevel(logging.ERROR)
        logging.getLogger("gunpowder").addHandler(logging.NullHandler())
        import voxflow.nodes.scanning.scan as ours
        assert ours.logger.isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("voxflow.torch.train").isEnabledFor(logging.WARNING)
        assert logging.getLogger("voxflow").handlers
        assert logging.getLogger("gunpowder.mine").parent.name == "voxflow"
    """
    ran(code, tmp_path)
