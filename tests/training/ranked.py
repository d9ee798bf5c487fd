"""A session for `torchrun`: ``ranked.py FOLDER STOP_AFTER ACCUMULATE [SPOILED BATCH]``."""

import sys

import torch

from tests.torch.nets import convolution
from tests.training.sessions import Poison, session
from voxflow.torch import StepOptions
from voxflow.training import Every, Keeper


class Steers:
    """Changes the rate, which all processes have to do; and says what it saw."""

    def begin(self, session):
        print("hooks of rank", session.ranks.rank, flush=True)

    def after_step(self, session, step):
        if step.number == 2:
            session.set("optimizer.lr", 0.05)
        print(step.number, step.loss, flush=True)


def main(folder, stop_after, accumulate, *spoiled):
    torch.set_num_threads(1)
    # Batches are not normalised: each process would do it by its own.
    model = convolution(5, dropout=0.3)
    session(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        run_dir=folder,
        keeper=Keeper(f"{folder}/checkpoints", last=Every(steps=2)),
        stop_after=int(stop_after),
        options=StepOptions(accumulate=int(accumulate), clip_norm=1.0, nonfinite="skip"),
        nodes=[Poison(*map(int, spoiled))],
        hooks=[Steers()],
        seed=7,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
