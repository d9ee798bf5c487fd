"""What is tuned is read, and the schema says all that is wrong with it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.tuning.objectives import loads
from voxflow.training.config import ConfigError
from voxflow.training.config.text import parse_value
from voxflow.training.tuning import Choice, Range, parse_parameter
from voxflow.training.tuning.parameters import assignment, check_space, nested


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("optimizer.lr=1..2", Range(1.0, 2.0)),
        ("optimizer.lr=1e-5..1e-2:log", Range(1e-5, 1e-2, log=True)),
        ("data.batch_size=2..16:log", Range(2, 16, log=True, whole=True)),
        ("model.options.fmaps=4..8", Range(4, 8, whole=True)),
        ("model.options.dropout=0.0..0.5", Range(0.0, 0.5)),
        ("data.input_shape=[32,32],[64, 64]", Choice(([32, 32], [64, 64]))),
        ("data.batch_size=2,4", Choice((2, 4))),
        ("schedules.optimizer.lr.decay=0.1..0.9", Range(0.1, 0.9)),
        (" step.compile = true, false", Choice((True, False))),
    ],
)
def test_what_is_written_is_read(text, values):
    key, found = parse_parameter(text)
    assert key == text.partition("=")[0].strip()
    assert found == values
    assert [type(v) for v in found.samples] == [type(v) for v in values.samples]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer.lr", "should be KEY=LOW..HIGH"),
        ("optimizer..lr=1..2", "should be KEY=LOW..HIGH"),
        ("optimizer.lr=2..1", "2..1 should go from a number to a larger one"),
        ("optimizer.lr=0..1:log", "should begin above 0"),
        ("optimizer.lr=1..2:lin", "got :lin"),
        ("optimizer.lr=a..b", "between numbers, got a and b"),
        ("data.batch_size=1.5..3", "data.batch_size takes whole numbers"),
        ("optimizer.lr=1,1", "should be values that differ"),
        ("optimizer.lr=", "should be values that differ"),
    ],
)
def test_what_cannot_be_read_is_told(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_parameter(text)
    assert str(caught.value).startswith(f"--param: {text}: ")
    assert said in str(caught.value)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(plain)
@settings(max_examples=30)
def test_an_assignment_reads_back_as_its_value(value):
    key, _, text = assignment("a.b", value).partition("=")
    assert (key, parse_value(text)) == ("a.b", value)


def test_values_by_keys_are_nested_as_the_schema_is():
    flat = {"optimizer.lr": 1, "schedules.optimizer.lr.decay": 2, "schedules.optimizer.lr.every": 3}
    decay = {"decay": 2, "every": 3}
    assert nested(flat) == {"optimizer": {"lr": 1}, "schedules": {"optimizer.lr": decay}}


def test_all_that_the_schema_does_not_take_is_told_at_once(tmp_path):
    texts = ["optimizer.lr=-1.0..1.0", "data.btch_size=1,2", "optimizer.name=Adam,Adamm"]
    with pytest.raises(ConfigError) as caught:
        check_space(loads(tmp_path), dict(map(parse_parameter, texts)))
    assert sorted(str(caught.value).splitlines()) == [
        "command line: data.btch_size: is no option; did you mean batch_size?",
        "command line: optimizer.lr: should be greater than 0, got -1.0",
        "command line: optimizer.name: 'Adamm' is not an optimizer, nor module:name; did you mean "
        "Adam?",
    ]
