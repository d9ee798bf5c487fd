"""A session over the pipeline of the CREMI example, on tiny samples; as a module it trains.

    python -m tests.integration.session_training SAMPLES FOLDER STEPS NUM_WORKERS SAVE_EVERY PAUSE

prints a line for each step: its number, its loss, the hash of its batch; then it pauses, so that
whoever wants to kill it has the time.
"""

import sys
import time

from tests.integration.training import (
    AFFINITIES,
    PREDICTED,
    RAW,
    WEIGHTS,
    digest,
    pipeline,
    request,
)


class Prints:
    """Says what each step was, and how many it saw; pauses."""

    def __init__(self, pause):
        self.pause = pause
        self.count = 0

    def after_step(self, session, step):
        self.count += 1
        print(step.number, step.loss.hex(), digest(step.batch), flush=True)
        time.sleep(self.pause)

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def main(samples, folder, steps, num_workers, save_every, pause):
    """Train up to a step, from the newest checkpoint if there is one."""
    import torch

    from voxflow.torch import StepOptions
    from voxflow.training import Every, Keeper, Session, Validation

    torch.manual_seed(3)
    net = torch.nn.Sequential(
        torch.nn.Conv3d(1, 4, (1, 3, 3)),
        torch.nn.BatchNorm3d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout3d(0.3),
        torch.nn.Conv3d(4, 3, 3),
        torch.nn.Sigmoid(),
    )
    Session(
        net,
        lambda p, target, weight: (weight * (p - target) ** 2).mean(),
        torch.optim.Adam(net.parameters(), lr=1e-3),
        pipeline(samples, int(num_workers)),
        request(),
        inputs=RAW,
        outputs=PREDICTED,
        loss_inputs=[PREDICTED, AFFINITIES, WEIGHTS],
        validation=Validation(pipeline(samples), request(), batches=1, every=7, averaged=True),
        hooks=[Prints(float(pause))],
        run_dir=folder,
        keeper=Keeper(f"{folder}/checkpoints", last=Every(steps=int(save_every))),
        seed=21,
        stop_after=int(steps),
        options=StepOptions(average=0.9, clip_norm=5.0, nonfinite="rollback", keep_every=9),
        device="cpu",
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
