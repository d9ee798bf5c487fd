"""What is written down reproduces the run, and each option is explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training.config import Config, load_config
from voxflow.training.config.options import find_option, keys_of, level_of, section_of
from voxflow.training.config.settings import explain

GOOD = """
model: {name: UNet, options: {level_kernels: {0: [[3, 3]]}, note: "1e-3", path: "$${HOME}"}}
loss: {name: CrossEntropyLoss, options: {weight: [1, 5]}}
data:
  pairs: [{raw: [a.zarr, raw], labels: [a.zarr, labels]}]
  input_shape: [64, 64]
  augment: {SimpleAugment: {}, GreyAugment: {gain: [0.9, 1.1]}}
validation: {pairs: [{raw: [b.zarr, raw], labels: [b.zarr, labels]}]}
schedules: {optimizer.lr: {updates: [[10, 0.1], [20, [1, 2]]]}, model.dropout: {linear: [0, 9]}}
stop: {steps: 100, early: {patience: 3}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(GOOD)
    return path


def load(file, *assignments):
    return load_config(file, assignments, environment={"XDG_CONFIG_HOME": "/nowhere"})


@pytest.mark.parametrize("extra", ["seed=5", "optimizer.lr=1e-30", "validation=null name=x"])
def test_a_dump_is_the_same_configuration_from_anywhere(file, tmp_path, monkeypatch, extra):
    if "null" in extra:
        extra += " stop.early=null"
    settings = load(file, *extra.split())
    (tmp_path / "deep" / "er").mkdir(parents=True)
    dumped = tmp_path / "deep" / "er" / "other.yaml"
    dumped.write_text(settings.dump())
    monkeypatch.chdir(tmp_path / "deep")
    again = load(dumped)
    assert again.config == settings.config
    assert again.dump() == settings.dump()
    assert again.config.model.options["level_kernels"] == {0: [[3, 3]]}
    assert again.config.model.options["path"] == "${HOME}"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_text_survives_a_dump(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("dump", numbered=True)
    (folder / "run.yaml").write_text(GOOD)
    config = load(folder / "run.yaml").config
    model = config.model.model_copy(update={"options": {"text": text, text: 1}})
    settings = type(load(folder / "run.yaml"))(config.model_copy(update={"model": model}))
    (folder / "dump.yaml").write_text(settings.dump(), encoding="utf-8")
    assert load(folder / "dump.yaml").config.model.options == {"text": text, text: 1}


def test_every_option_says_what_it_means():
    waiting = [(Config, "")]
    while waiting:
        section, prefix = waiting.pop()
        for name, field in section.model_fields.items():
            assert field.description, prefix + name
            assert field.description.endswith("."), prefix + name
            assert level_of(field) in ("required", "usual", "special")
            below = section_of(field)
            if below is not None:
                waiting.append((below, f"{prefix}{name}."))


@pytest.mark.parametrize("key", keys_of(Config))
def test_every_option_is_explained(key):
    text = explain(key)
    assert text.startswith(f"{key}: ")
    assert "  type     " in text


def test_an_explanation_tells_value_and_origin(file):
    settings = load(file, "schedules.model.dropout.every=7")
    assert f"  stop.steps = 100  ({file}:10)" in settings.explain("stop.steps")
    assert "= 7  (command line)" in settings.explain("schedules.model.dropout.every")
    assert "data.cache_size = 8  (default)" in settings.explain("data")
    assert "stop.steps = 100" in settings.explain("stop")
    assert "stop.steps" not in settings.explain("step")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("optimizr.lr", "did you mean optimizer"),
        ("optimizer.lrr", "did you mean lr"),
        ("seed.x", "no option seed.x"),
        ("lr", "did you mean optimizer.lr"),
        ("", "no option"),
    ],
)
def test_what_is_no_option_has_a_hint(key, said):
    with pytest.raises(KeyError, match=said):
        explain(key)


def test_values_list_every_option_once(file):
    keys = [key for key, _, _ in load(file).values()]
    assert len(keys) == len(set(keys))
    assert {"seed", "optimizer.lr", "schedules.optimizer.lr.updates", "data.pairs"} <= set(keys)
    # A section that is null is one key.
    missing = {
        key
        for key in keys_of(Config)
        if not any(k.startswith(key) or key.startswith(f"{k}.") for k in keys)
    }
    assert missing == set()


def test_what_is_below_a_plain_mapping_is_explained_by_it():
    assert find_option(Config, "model.options.fmaps")[0] is find_option(Config, "model.options")[0]
