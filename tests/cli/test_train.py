"""The command that trains."""

from click.testing import CliRunner

from voxflow.cli.app import app


def run(*more):
    small = ["device=cpu", "data.input_shape=[52,52]", "validation.batches=1"]
    return CliRunner().invoke(app, ["train", "toy.yaml", *small, *more])


def test_the_example_is_trained_resumed_and_not_overwritten(toy):
    done = run("stop.steps=2")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("2 steps, ")
    assert (toy / "runs" / "toy" / "checkpoints" / "final.pt").is_file()

    done = run("stop.steps=3")
    assert done.exit_code == 2
    assert "nothing was changed" in done.stderr
    assert "--resume" in done.stderr

    done = run("stop.steps=3", "--resume", "--device", "cuda:77")
    assert "cuda:77" in str(done.exception)

    done = run("stop.steps=3", "--resume")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("3 steps, ")

    done = run("--resume", "--run-dir", "nowhere")
    assert done.exit_code == 2
    assert "is no run directory" in done.stderr
