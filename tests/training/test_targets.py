import copy
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import voxflow as gp
from tests.helpers import children, left_behind
from voxflow.pipeline.engine import describe
from voxflow.torch.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from voxflow.training import Decay, Linear, Scheduled, Updates
from voxflow.training.targets import Targets, UnknownTarget

RAW = gp.ArrayKey("RAW")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
        self.second = nn.Sequential(nn.LeakyReLU(0.1), nn.Dropout2d(0.5))
        self.mixing = 0.25
        self.deep = True
        self._hidden = 1.0


class Loss:
    def __init__(self):
        self.weights = [1.0, 5.0]
        self.power = 2
        self.kind = "sum"
        self.limit = None
        self.parts = object()


@pytest.fixture
def net():
    return Net()


def of_optimizer(kind=torch.optim.SGD, **options):
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1))]
    return kind(weights, **{"lr": 0.1, **options})


def grouped():
    decayed = {"params": [nn.Parameter(torch.ones(2))], "weight_decay": 0.01}
    bias = {"params": [nn.Parameter(torch.ones(2))], "weight_decay": 0.0, "lr": 0.2}
    return torch.optim.SGD([decayed, bias], lr=0.1)


def make_pipeline(workers=0, method="forkserver"):
    # Defined in here: workers cannot import a module of tests.
    import numpy as np

    import voxflow as gp

    class Add(gp.BatchFilter):
        def __init__(self, amount=1.0, over=(1, 2)):
            if amount > 100:
                raise ValueError("too much")
            self.amount, self.over = amount, over
            self.twice = 2 * amount
            self.seen = None

        def setup(self):
            self.seen = "data"

        def process(self, batch, request):
            raw = gp.ArrayKey("RAW")
            batch[raw].data = batch[raw].data + self.twice

    image = np.zeros((8, 8))
    source = gp.ArraySource(gp.ArrayKey("RAW"), image, spec=gp.ArraySpec(voxel_size=(1, 1)))
    pipeline = source + Add().named("plus") + Add(2.0)
    return pipeline + gp.PreCache(6, workers, method=method)


def value(pipeline):
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4))})
    return float(pipeline.request_batch(request)[RAW].data[0, 0])


# -- optimizers ---------------------------------------------------------------------------------


def test_options_of_an_optimizer():
    optimizer = of_optimizer(momentum=0.9)
    targets = Targets({"optimizer": optimizer})
    assert targets.set("optimizer.lr", 1) == 0.1
    assert targets.set("optimizer.mom", 0.5) == 0.9
    assert targets.set("optimizer.wd", 0.25) == 0
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (1.0, 0.5, 0.25)
    assert type(group["lr"]) is float
    assert targets.get("optimizer.momentum") == targets.get("optimizer.mom") == 0.5
    assert targets.set("optimizer.nesterov", True) is False


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (torch.optim.Adam, lambda g: g["betas"] == (0.75, 0.999)),
        (torch.optim.AdamW, lambda g: g["betas"] == (0.75, 0.999)),
        (torch.optim.Adadelta, lambda g: g["rho"] == 0.75),
        (torch.optim.RMSprop, lambda g: g["momentum"] == 0.75),
    ],
)
def test_momentum_has_many_names(kind, found):
    optimizer = of_optimizer(kind)
    targets = Targets({"optimizer": optimizer})
    targets.set("optimizer.momentum", 0.75)
    assert found(optimizer.param_groups[0])
    assert targets.get("optimizer.momentum") == 0.75


def test_groups_of_parameters():
    optimizer = grouped()
    targets = Targets({"optimizer": optimizer})
    assert targets.get("optimizer.lr") == [0.1, 0.2]
    assert targets.get("optimizer.1.lr") == 0.2
    targets.set("optimizer.1.lr", 0.3)
    assert targets.get("optimizer.lr") == [0.1, 0.3]
    targets.set("optimizer.lr", 0.5)
    assert targets.get("optimizer.lr") == 0.5
    targets.set("optimizer.lr", [0.5, 0.25])
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25]
    with pytest.raises(ValueError, match="optimizer.lr has 2 groups of parameters, got 3 values"):
        targets.set("optimizer.lr", [1, 2, 3])


def test_biases_stay_without_weight_decay():
    targets = Targets({"optimizer": grouped()})
    targets.set("optimizer.weight_decay", 0.5)
    assert targets.get("optimizer.weight_decay") == [0.5, 0.0]
    targets.set("optimizer.1.weight_decay", 0.25)
    targets.set("optimizer.weight_decay", 0.1)
    assert targets.get("optimizer.weight_decay") == 0.1
    targets.set("optimizer.weight_decay", 0.0)
    targets.set("optimizer.weight_decay", 0.1)
    assert targets.get("optimizer.weight_decay") == 0.1


def test_betas_of_all_groups():
    targets = Targets({"optimizer": of_optimizer(torch.optim.Adam)})
    assert targets.set("optimizer.betas", [0.5, 0.25]) == [0.9, 0.999]
    assert targets.get("optimizer.betas") == [0.5, 0.25]


def test_a_rate_in_a_tensor_stays_in_it():
    rate = torch.tensor(0.5)
    optimizer = of_optimizer(lr=rate)
    Targets({"optimizer": optimizer}).set("optimizer.lr", 0.25)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate == 0.25


def test_impossible_options_are_refused_and_nothing_is_changed():
    optimizer = grouped()
    before = copy.deepcopy(optimizer.state_dict())
    targets = Targets({"optimizer": optimizer})
    for path, wrong, kind, why in [
        ("lr", -1, ValueError, "optimizer.lr has to be 0 or more, and finite, got -1"),
        ("lr", [0.5, -1], ValueError, "0 or more"),
        ("lr", float("nan"), ValueError, "0 or more"),
        ("lr", float("inf"), ValueError, "finite"),
        ("lr", "fast", TypeError, "optimizer.lr is 0.1, which 'fast' cannot take the place of"),
        ("lr", True, TypeError, "cannot take"),
        ("lr", None, TypeError, "cannot take"),
        ("momentum", 1.5, ValueError, "below 1"),
        ("nesterov", 1, TypeError, "cannot take"),
    ]:
        with pytest.raises(kind, match=why):
            targets.set(f"optimizer.{path}", wrong)
    assert optimizer.state_dict() == before


def test_a_reduction_that_torch_does_not_know_is_refused():
    loss = nn.MSELoss()
    targets = Targets({"loss": loss})
    targets.set("loss.reduction", "sum")
    for wrong in ("none", "nonsense"):  # neither gives a loss that is one number
        with pytest.raises(ValueError, match=f"loss.reduction has to be mean or sum, got '{wrong}"):
            targets.set("loss.reduction", wrong)
    assert loss.reduction == "sum"


def test_another_optimizer_takes_its_name():
    first, second = of_optimizer(), of_optimizer(torch.optim.Adam)
    targets = Targets({"optimizer": first})
    targets.set("optimizer.lr", 0.5)
    targets.put("optimizer", second)
    targets.set("optimizer.lr", 0.25)
    assert (first.param_groups[0]["lr"], second.param_groups[0]["lr"]) == (0.5, 0.25)


# -- modules and other things -------------------------------------------------------------------


def test_dropout_of_all_layers_and_of_each(net):
    targets = Targets({"model": net})
    assert targets.set("model.dropout", 0.25) == 0.5
    assert (net.first[2].p, net.second[1].p) == (0.25, 0.25)
    targets.set("model.dropout", [0, 1])
    assert (net.first[2].p, net.second[1].p) == (0.0, 1.0)
    assert targets.get("model.dropout") == [0, 1]
    targets.set("model.second.1.p", 0.125)
    assert targets.get("model.dropout") == [0, 0.125]
    for wrong, why in [(1.5, "from 0 to 1, got 1.5"), ([0.1], "2 dropout layers, got 1 values")]:
        with pytest.raises(ValueError, match=why):
            targets.set("model.dropout", wrong)
    assert targets.get("model.dropout") == [0, 0.125]


def test_attributes_of_modules(net):
    targets = Targets({"model": net})
    assert targets.describe() == {
        "model.dropout": 0.5,
        "model.mixing": 0.25,
        "model.deep": True,
        "model.first.1.eps": 1e-5,
        "model.first.1.momentum": 0.1,
        "model.first.2.p": 0.5,
        "model.second.0.negative_slope": 0.1,
        "model.second.1.p": 0.5,
    }
    targets.set("model.first.1.momentum", 0.5)
    targets.set("model.deep", False)
    assert (net.first[1].momentum, net.deep) == (0.5, False)
    for architecture in ("model.first.0.kernel_size", "model.first.0.weight", "model._hidden"):
        with pytest.raises(UnknownTarget):
            targets.set(architecture, 5)


def test_buffers_keep_their_place_and_dtype():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0], dtype=torch.float64))
    weight = loss.weight
    targets = Targets({"loss": loss})
    assert targets.set("loss.weight", [2, 3]) == [1, 5]
    assert loss.weight is weight
    assert weight.dtype == torch.float64
    assert targets.set("loss.ignore_index", -1) == -100
    assert targets.set("loss.label_smoothing", 0.1) == 0
    with pytest.raises(ValueError, match=r"loss\.weight has 2 values, got 3"):
        targets.set("loss.weight", [1, 2, 3])


def test_attributes_of_anything():
    loss = Loss()
    targets = Targets({"loss": loss, "augment": None})
    assert targets.describe() == {
        "loss.weights": [1, 5],
        "loss.power": 2,
        "loss.kind": "sum",
        "loss.limit": None,
    }
    targets.set("loss.weights", (1, 10))
    targets.set("loss.power", 3.0)
    targets.set("loss.limit", 0.5)
    targets.set("loss.kind", "mean")
    assert (loss.weights, loss.power, loss.limit, loss.kind) == ([1.0, 10.0], 3, 0.5, "mean")
    assert type(loss.power) is int
    with pytest.raises(TypeError, match=r"loss\.power is 3, which 2\.5 cannot"):
        targets.set("loss.power", 2.5)


# -- nodes --------------------------------------------------------------------------------------


def test_parameters_of_nodes_by_label():
    pipeline = make_pipeline()
    targets = Targets({"augment": pipeline})
    names = {
        "augment.plus.amount": 1.0,
        "augment.plus.over": [1, 2],
        "augment.Add.amount": 2.0,
        "augment.Add.over": [1, 2],
    }
    assert targets.describe() == names
    with gp.build(pipeline):
        assert targets.describe() == names
        assert value(pipeline) == 6
        assert targets.set("augment.plus.amount", 10) == 1
        assert value(pipeline) == 24
        targets.set("augment.plus.over", [3, 4])
    plus = next(node for node in pipeline.nodes() if node.given_label == "plus")
    assert (plus.amount, plus.twice, plus.over, plus.seen) == (10, 20, (3, 4), "data")
    described = {n["label"]: n["parameters"] for n in describe(pipeline)["nodes"]}
    assert described["plus"]["amount"] == 10


def test_parameters_of_nodes_are_checked_by_their_constructor():
    pipeline = make_pipeline()
    targets = Targets({"augment": pipeline})
    with pytest.raises(ValueError, match="too much"):
        targets.set("augment.plus.amount", 101)
    assert targets.get("augment.plus.amount") == 1
    augment = gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1)
    targets = Targets({"augment": gp.Pipeline(augment)})
    targets.set("augment.IntensityAugment.scale_max", 1.5)
    assert (augment.scale_min, augment.scale_max) == (0.9, 1.5)
    with pytest.raises(ValueError, match="ranges go from low to high"):
        targets.set("augment.IntensityAugment.scale_max", 0.5)
    targets.set("augment.IntensityAugment.slab", [1, -1])
    assert augment.slab == (1, -1)


def test_what_a_node_does_not_keep_is_refused():
    class Deaf(gp.BatchFilter):
        def __init__(self, amount=1.0):
            pass

    targets = Targets({"augment": gp.Pipeline(Deaf())})
    with pytest.raises(ValueError, match=r"augment\.Deaf\.amount cannot be changed: Deaf does not"):
        targets.set("augment.Deaf.amount", 2.0)


@pytest.mark.parametrize(("workers", "method"), [(0, "thread"), (2, "forkserver"), (1, "thread")])
def test_the_next_batch_is_the_first_one_to_see_a_change(workers, method):
    pipeline = make_pipeline(workers, method)
    targets = Targets({"augment": pipeline})
    with gp.build(pipeline):
        found = []
        for i in range(6):
            if i == 3:
                targets.set("augment.plus.amount", 10)
            found.append(value(pipeline))
        # What is set to what it is costs nothing.
        before = children()
        targets.set("augment.plus.amount", 10.0)
        assert children() == before
    assert found == [6, 6, 6, 24, 24, 24]
    assert not left_behind()


# -- names and states ---------------------------------------------------------------------------


def test_unknown_names_are_answered_with_the_nearest(net):
    targets = Targets({"model": net, "optimizer": of_optimizer(), "augment": make_pipeline()})
    for wrong, right in [
        ("model.droput", "model.dropout"),
        ("optimizr.lr", "optimizer.lr"),
        ("optimizer.weight_dcay", "optimizer.weight_decay"),
        ("augment.plus.amout", "augment.plus.amount"),
        ("optimizer.5.lr", "optimizer.lr"),
    ]:
        with pytest.raises(UnknownTarget, match=f"no target '{wrong}'; did you mean .*{right}"):
            targets.get(wrong)
    with pytest.raises(UnknownTarget, match="'zzz'; Names begin with model, optimizer, augment"):
        targets.get("zzz")
    for empty in ("", "model", "model.", "."):
        with pytest.raises(UnknownTarget):
            targets.get(empty)


def test_everything_described_can_be_got_and_set(net):
    targets = Targets({"model": net, "optimizer": grouped(), "loss": Loss()})
    described = targets.describe()
    assert len(described) > 20
    for path, present in described.items():
        assert targets.get(path) == present
        assert targets.set(path, present) == present
    assert targets.describe() == described


def test_a_resumed_run_sets_what_was_set(net, tmp_path, caplog):
    targets = Targets({"model": net, "optimizer": of_optimizer(), "loss": Loss()})
    targets.set("model.dropout", [0.1, 0.2])
    targets.set("loss.power", 3)
    targets.set("optimizer.lr", 0.5)
    path = tmp_path / "checkpoint"
    save_checkpoint(path, Checkpoint({}, extra={"targets": targets.state_dict()}))
    state = load_checkpoint(path).extra["targets"]
    assert state == {"model.dropout": [0.1, 0.2], "loss.power": 3}
    other = Net()
    resumed = Targets({"model": other})
    with caplog.at_level(logging.WARNING):
        resumed.load_state_dict(state)
    assert (other.first[2].p, other.second[1].p) == (0.1, 0.2)
    assert "loss.power was set to 3, and is not now" in caplog.text
    assert resumed.state_dict() == {"model.dropout": [0.1, 0.2]}


def test_values_are_plain(net):
    targets = Targets({"model": net})
    targets.set("model.mixing", np.float64(0.5).item())
    assert type(targets.get("model.mixing")) is float


def test_schedules_set_targets(net):
    optimizer = of_optimizer(momentum=0.9)
    targets = Targets({"model": net, "optimizer": optimizer, "augment": make_pipeline()})
    bound = {
        "optimizer.lr": Decay(0.5, every=10),
        "optimizer.momentum": Linear(0.0, 20, every=10),
        "model.dropout": Updates([(10, [0.1, 0.2]), (20, 0.0)]),
        "augment.plus.amount": Updates([(15, 3.0)]),
    }
    hook = Scheduled(bound)
    hook.begin(targets)
    seen = {}
    for number in range(1, 21):
        hook.after_step(targets, SimpleNamespace(number=number, metrics={}))
        now = [targets.get(path) for path in bound]
        if not seen or seen[max(seen)] != now:
            seen[number] = now
    assert seen == {
        1: [0.1, 0.9, 0.5, 1.0],
        10: [0.05, 0.45, [0.1, 0.2], 1.0],
        15: [0.05, 0.45, [0.1, 0.2], 3.0],
        20: [0.025, 0.0, 0.0, 3.0],
    }
    with pytest.raises(UnknownTarget, match="did you mean model.dropout"):
        Scheduled({"model.droput": Decay(0.5)}).begin(targets)
