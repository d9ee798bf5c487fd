"""Putting nodes together, setting them up, taking them apart."""

import pickle
import random

import numpy as np
import pytest

import voxflow as gp
from tests.pipeline.engine.nodes import LABELS, RAW, Idle, Source, asking, chain


class Logs(Idle):
    def __init__(self, name, log, fail=()):
        self.called, self.log, self.fail = name, log, fail

    def _do(self, what):
        self.log.append((what, self.called))
        if what in self.fail:
            raise OSError(2, "text", f"{what}-{self.called}")

    def setup(self):
        self._do("setup")

    def teardown(self):
        self._do("teardown")


# -- composition ----------------------------------------------------------------------------------


class A(Idle): ...


class B(Idle): ...


class C(Idle): ...


class S(Source): ...


@pytest.mark.parametrize(
    ("pipeline", "text"),
    [
        (S() + A(), "S -> A"),
        (S() + A() + B(), "S -> A -> B"),
        (S() + (A() + B()), "S -> A -> B"),
        ((S() + A()) + (B() + C()), "S -> A -> B -> C"),
        ((S(), S()) + gp.MergeProvider(), "(S, S) -> MergeProvider"),
        ((S() + A(), S()) + gp.MergeProvider() + B(), "(S -> A, S) -> MergeProvider -> B"),
        (
            tuple(S() + A() for _ in range(2)) + gp.MergeProvider(),
            "(S -> A, S -> A) -> MergeProvider",
        ),
        ((S(), S()) + (gp.MergeProvider() + A()), "(S, S) -> MergeProvider -> A"),
        (S() + ((A(), B()) + gp.MergeProvider()), "(S -> A, S -> B) -> MergeProvider"),
    ],
)
def test_trees(pipeline, text):
    assert repr(pipeline) == text


def test_operands_stay_as_they_are():
    source, left, right = S(), S() + A(), B() + C()
    whole = left + right
    whole += Idle()
    assert repr(left) == "S -> A"
    assert repr(right) == "B -> C"
    assert repr(whole) == "S -> A -> B -> C -> Idle"
    assert whole.copy() is not whole
    assert repr(whole.copy()) == repr(whole)
    (source, left) + gp.MergeProvider()
    assert left.children[0].children == ()


@pytest.mark.parametrize("other", [[S()], "text", None, 3])
def test_only_nodes_pipelines_and_tuples_of_them(other):
    with pytest.raises(RuntimeError, match="nodes and pipelines are added to nodes, pipelines"):
        S() + other
    with pytest.raises(RuntimeError, match="nodes and pipelines are added"):
        other + A()
    with pytest.raises(RuntimeError, match="nodes and pipelines are added"):
        (S() + A()) + other


def test_members_of_tuples():
    with pytest.raises(TypeError, match="every member of the tuple has to be a node or a pipeline"):
        (S(), "text") + A()
    with pytest.raises(ValueError, match="the tuple of inputs of .* is empty"):
        () + gp.MergeProvider()
    with pytest.raises(RuntimeError, match="nodes and pipelines are added"):
        S() + (A(), B())


@pytest.mark.parametrize("wrong", [(S(), S()), [S()], S() + A(), "text"])
def test_a_pipeline_is_made_of_a_node(wrong):
    with pytest.raises(TypeError, match="a pipeline is made of nodes"):
        gp.Pipeline(wrong)


def test_traverse():
    pipeline = (S() + A(), S()) + gp.MergeProvider()

    def name(p):
        return p.output.name()

    assert pipeline.traverse(name) == ["MergeProvider", ["A", ["S"]], ["S"]]
    assert pipeline.traverse(name, reverse=True) == [[["S"], "A"], ["S"], "MergeProvider"]
    assert [n.name() for n in pipeline.nodes()] == ["S", "A", "S", "MergeProvider"]


# -- life -----------------------------------------------------------------------------------------


def test_setup_and_teardown_go_downstream():
    log = []
    pipeline = chain(Source(), Logs("one", log), Logs("two", log))
    assert pipeline.spec is None
    assert not pipeline.initialized
    with gp.build(pipeline):
        assert pipeline.initialized
        assert RAW in pipeline.spec
    assert not pipeline.initialized
    assert pipeline.spec is None
    assert log == [("setup", "one"), ("setup", "two"), ("teardown", "one"), ("teardown", "two")]


def test_pipelines_are_built_again():
    pipeline = chain((Source(RAW), Source(LABELS)) + gp.MergeProvider(), gp.Stack(2), Idle())
    built = gp.build(pipeline, seed=1)
    for _ in range(3):
        with built:
            assert pipeline.request_batch(asking())[RAW].data.shape[0] == 2
            assert [len(n.upstream_providers) for n in pipeline.nodes()] == [0, 0, 2, 1, 1]


def test_a_second_setup_is_refused_and_leaves_the_first_one_alone():
    pipeline = Source() + Idle()
    with gp.build(pipeline):
        with pytest.raises(gp.PipelineSetupError, match="set up already"), gp.build(pipeline):
            pass
        with pytest.raises(gp.PipelineSetupError, match="set up already"):
            pipeline.setup()
        assert len(pipeline.output.upstream_providers) == 1
        pipeline.request_batch(asking())
    pipeline.internal_teardown()  # once more does no harm


def test_an_interrupt_in_a_teardown_leaves_nothing_half_built():
    class Interrupted(Idle):
        def teardown(self):
            raise KeyboardInterrupt

    torn = []

    class Noted(Idle):
        def teardown(self):
            torn.append(True)

    pipeline = Source() + Interrupted() + Noted()
    pipeline.setup()
    with pytest.raises(KeyboardInterrupt):
        pipeline.internal_teardown()
    assert torn == [True]
    assert not pipeline.initialized


def test_labels_never_meet():
    nodes = [Idle(), Idle(), Idle().named("Idle-2"), Idle().named("Idle-2")]
    with gp.build(chain(Source(), *nodes)):
        labels = [node.label for node in nodes]
    assert labels == ["Idle", "Idle-3", "Idle-2", "Idle-2-2"]


def test_a_run_does_not_go_on_in_another_process():
    with gp.build(Source() + Idle()) as pipeline:
        run = pickle.loads(pickle.dumps(pipeline.run))
        run._process += 1
        with pytest.raises(RuntimeError, match="which would make the same batches once more"):
            run.seeded(asking())
        assert run.seeded(gp.BatchRequest(random_seed=1)).seed == 1


def test_requests_made_in_setup_have_seeds_and_leave_the_global_state():
    seen = []

    class Asks(Idle):
        def setup(self):
            seen.append(self.get_upstream_provider().request_batch(asking()).token)
            seen.append((np.random.random(), random.random()))

    np.random.seed(0)
    random.seed(0)
    expected = np.random.random(), random.random()
    np.random.seed(0)
    random.seed(0)
    for _ in range(2):
        with gp.build(chain(Source(), Asks()), seed=1):
            pass
    assert seen[:2] == seen[2:]
    assert (np.random.random(), random.random()) == expected


def test_a_node_twice_in_a_pipeline():
    node = Idle()
    with (
        pytest.raises(gp.PipelineSetupError, match="Idle is used twice in this pipeline") as caught,
        gp.build(chain(Source(), node, node)),
    ):
        pass
    assert caught.value.provider is node


def test_a_node_in_two_built_pipelines():
    source = Source()
    one, two = source + Idle(), source + Idle()
    with gp.build(one):
        with (
            pytest.raises(gp.PipelineSetupError, match="Source belongs to another pipeline that"),
            gp.build(two),
        ):
            pass
        # and the first one goes on as if nothing had been
        one.request_batch(asking())
    with gp.build(two):
        two.request_batch(asking())


def test_a_setup_that_fails():
    log = []
    nodes = Logs("one", log), Logs("two", log, fail=["setup"]), Logs("three", log)
    pipeline = chain(Source(), *nodes)
    with pytest.raises(gp.PipelineSetupError) as caught, gp.build(pipeline):
        pass
    error = caught.value
    assert isinstance(error, FileNotFoundError)
    assert str(error) == "[Errno 2] text: 'setup-two'"
    assert error.__notes__ == ["Exception in Logs-2 while calling setup()"]
    assert error.provider is nodes[1]
    # what was set up is torn down; what was not, is not
    assert log[-2:] == [("teardown", "one"), ("teardown", "two")]
    assert not any(node._engine_in_use for node in pipeline.nodes())


def test_a_teardown_that_fails_after_a_setup_that_failed_is_only_logged(caplog):
    log = []
    pipeline = chain(Source(), Logs("one", log, ["teardown"]), Logs("two", log, ["setup"]))
    with pytest.raises(FileNotFoundError, match="setup-two"), gp.build(pipeline):
        pass
    assert "teardown-one" in caplog.text


def test_a_teardown_that_fails():
    log = []
    pipeline = chain(Source(), Logs("one", log, ["teardown"]), Logs("two", log, ["teardown"]))
    with (
        pytest.raises(gp.PipelineTeardownError, match="teardown-one") as caught,
        gp.build(pipeline),
    ):
        pass
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.provider.called == "one"
    assert log[-2:] == [("teardown", "one"), ("teardown", "two")]
    assert not any(node._engine_in_use for node in pipeline.nodes())


def test_the_error_of_the_block_is_not_hidden_by_the_teardown():
    pipeline = chain(Source(), Logs("one", [], ["teardown"]))
    with pytest.raises(ZeroDivisionError) as caught, gp.build(pipeline):
        1 / 0  # noqa: B018
    assert "then tearing down failed: FileNotFoundError" in caught.value.__notes__[0]


def test_a_single_node_is_built():
    with gp.build(Source(), seed=3) as source:
        assert source.request_batch(asking()).token.request().position.seed == 3
    with pytest.raises(gp.BatchRequestError, match="inside `with build"):
        source.request_batch(asking())


def test_other_things_are_not_built():
    with pytest.raises(TypeError, match=r"combine several with \(a, b\) \+ MergeProvider"):
        gp.build((Source(), Source()))


# -- a request that fails -------------------------------------------------------------------------


class Breaks(Idle):
    def process(self, batch, request):
        {}["missing"]


def test_errors_keep_their_type_and_say_who_was_asked_for_what():
    pipeline = chain(Source(), Idle(), Breaks(), Idle(), Idle())
    request = asking()
    with gp.build(pipeline, seed=1):
        with pytest.raises(KeyError, match="missing") as caught:
            pipeline.request_batch(request)
        error = caught.value
        assert isinstance(error, gp.PipelineRequestError)
        assert isinstance(error, gp.BatchRequestError)
        assert error.pipeline is pipeline
        assert error.request is request
        assert error.token.request() == request
        assert error.__context__ is None
        assert error.__notes__ == [
            "in Breaks -> Idle-2 -> Idle-3, asked for\n    RAW [10:18, 10:18] (8, 8) in world "
            "units = [5:9, 5:9] (4, 4) in voxels of (2, 2)"
        ]
        with pytest.raises(KeyError, match="missing"):
            pipeline.replay(error.token)


def test_a_bare_node_fails_as_such():
    class Odd(Source):
        def provide(self, request):
            raise ZeroDivisionError("text")

    with gp.build(Odd()) as source:
        with pytest.raises(ZeroDivisionError) as caught:
            source.request_batch(asking())
        assert isinstance(caught.value, gp.BatchRequestError)
        assert not isinstance(caught.value, gp.PipelineRequestError)
        assert caught.value.provider is source


def test_interrupts_are_not_touched():
    class Interrupted(Idle):
        def process(self, batch, request):
            raise KeyboardInterrupt

    with gp.build(Source() + Interrupted()) as pipeline, pytest.raises(KeyboardInterrupt) as caught:
        pipeline.request_batch(asking())
    assert type(caught.value) is KeyboardInterrupt
