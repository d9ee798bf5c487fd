# A script for gunpowder 1.4, in the form of its tutorial; run with the import line changed.
import logging
import math
import sys

import gunpowder as gp
import numpy as np
import torch

logging.basicConfig(level=logging.INFO)

work = sys.argv[1]
num_iterations = int(sys.argv[2])
samples = ["sample_A", "sample_B"]

raw = gp.ArrayKey("RAW")
labels = gp.ArrayKey("GT_LABELS")
affs = gp.ArrayKey("GT_AFFINITIES")
scale = gp.ArrayKey("GT_SCALE")
pred_affs = gp.ArrayKey("PRED_AFFS")
grad_affs = gp.ArrayKey("PRED_AFFS_GRADIENT")

voxel_size = gp.Coordinate((40, 4, 4))
input_size = gp.Coordinate((5, 20, 20)) * voxel_size
output_size = gp.Coordinate((3, 16, 16)) * voxel_size


class AddSpeckle(gp.BatchFilter):
    """Multiplies by noise that is smoothed with a neighbour, so that it needs context."""

    def __init__(self, array, sigma):
        self.array = array
        self.sigma = sigma

    def setup(self):
        self.enable_autoskip()
        spec = self.spec[self.array].copy()
        spec.interpolatable = True
        self.updates(self.array, spec)

    def prepare(self, request):
        deps = gp.BatchRequest()
        deps[self.array] = request[self.array].copy()
        context = self.spec[self.array].voxel_size * gp.Coordinate((0, 1, 1))
        deps[self.array].roi = request[self.array].roi.grow(context, context)
        self.strength = np.random.uniform(0, self.sigma)
        return deps

    def process(self, batch, request):
        outputs = gp.Batch()
        array = batch.arrays[self.array]
        noise = np.random.normal(1, self.strength, array.data.shape)
        spec = array.spec.copy()
        data = (array.data * noise).astype(array.data.dtype)
        outputs[self.array] = gp.Array(data, spec).crop(request[self.array].roi)
        return outputs


class Blur(gp.BatchFilter):
    """Averages sections; grows the request in place."""

    def __init__(self, array):
        self.array = array

    def prepare(self, request):
        dims = request[self.array].roi.dims
        context = gp.Coordinate((0,) * (dims - 1) + (4,))
        request[self.array].roi = request[self.array].roi.grow(context, context)

    def process(self, batch, request):
        array = batch[self.array]
        data = array.data
        array.data = data.copy()
        array.data[..., 1:-1] = (data[..., :-2] + data[..., 1:-1] + data[..., 2:]) / 3
        batch[self.array] = array.crop(request[self.array].roi)


class Invert(gp.BatchFilter):
    def __init__(self, array, p):
        self.array = array
        self.p = p

    def skip_node(self, request):
        return np.random.random() > self.p

    def process(self, batch, request):
        batch[self.array].data = 1 - batch[self.array].data


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv3d(1, 4, (1, 3, 3))
        self.second = torch.nn.Conv3d(4, 3, 3)

    def forward(self, x):
        return torch.sigmoid(self.second(torch.relu(self.first(x))))


def weighted(prediction, target, scale):
    return (scale * (prediction - target) ** 2).sum() / scale.sum()


def train(iterations):
    torch.manual_seed(1)
    model = Net()
    request = gp.BatchRequest()
    request.add(raw, input_size)
    request.add(affs, output_size)
    request.add(scale, output_size)
    snapshot_request = gp.BatchRequest()
    snapshot_request[labels] = request[affs]
    snapshot_request[pred_affs] = request[affs]
    snapshot_request[grad_affs] = request[affs]

    pipeline = (
        tuple(
            gp.Hdf5Source(
                work + "/" + sample + ".hdf",
                datasets={raw: "volumes/raw", labels: "volumes/labels/neuron_ids"},
                array_specs={
                    raw: gp.ArraySpec(interpolatable=True),
                    labels: gp.ArraySpec(interpolatable=False),
                },
            )
            + gp.Normalize(raw)
            + gp.RandomLocation()
            for sample in samples
        )
        + gp.RandomProvider()
        + gp.ElasticAugment(
            [2, 8, 8],
            [0, 1, 1],
            [0, math.pi / 2.0],
            prob_slip=0.05,
            prob_shift=0.05,
            max_misalign=2,
        )
        + gp.SimpleAugment(transpose_only=[1, 2])
        + gp.IntensityAugment(raw, 0.9, 1.1, -0.1, 0.1, z_section_wise=True)
        + AddSpeckle(raw, 0.1)
        + Blur(raw)
        + Invert(raw, 0.2)
        + gp.GrowBoundary(labels, steps=1, only_xy=True)
        + gp.AddAffinities([[-1, 0, 0], [0, -1, 0], [0, 0, -1]], labels, affs)
        + gp.BalanceLabels(affs, scale)
        + gp.Unsqueeze([raw])
        + gp.Stack(1)
        + gp.PreCache(cache_size=4, num_workers=2)
        + gp.torch.Train(
            model=model,
            loss=weighted,
            optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
            inputs={"x": raw},
            outputs={0: pred_affs},
            loss_inputs={0: pred_affs, 1: affs, 2: scale},
            gradients={0: grad_affs},
            checkpoint_basename=work + "/model",
            save_every=5,
            log_dir=work + "/log",
        )
        + gp.Snapshot(
            {
                raw: "volumes/raw",
                labels: "volumes/labels/neuron_ids",
                affs: "volumes/labels/affs",
                pred_affs: "volumes/pred_affs",
                grad_affs: "volumes/pred_affs_gradient",
            },
            output_dir=work + "/snapshots",
            output_filename="batch_{iteration}.hdf",
            every=5,
            additional_request=snapshot_request,
        )
        + gp.PrintProfilingStats(every=5)
    )
    with gp.build(pipeline):
        for _ in range(iterations):
            batch = pipeline.request_batch(request)
            assert batch.loss is not None
            assert pred_affs not in batch
    print("trained to", batch.iteration)


def predict(iteration):
    model = Net()
    model.eval()
    source = gp.Hdf5Source(
        work + "/sample_B.hdf",
        datasets={raw: "volumes/raw"},
        array_specs={raw: gp.ArraySpec(interpolatable=True)},
    )
    with gp.build(source):
        raw_roi = source.spec[raw].roi
    context = (input_size - output_size) / 2
    reference = gp.BatchRequest()
    reference.add(raw, input_size)
    reference.add(pred_affs, output_size)

    pipeline = (
        source
        + gp.Normalize(raw)
        + gp.Unsqueeze([raw])
        + gp.Stack(1)
        + gp.torch.Predict(
            model=model,
            inputs={"x": raw},
            outputs={0: pred_affs},
            array_specs={pred_affs: gp.ArraySpec(roi=raw_roi.grow(-context, -context))},
            checkpoint=work + "/model_checkpoint_" + str(iteration),
        )
        + gp.Squeeze([pred_affs])
        + gp.Hdf5Write(
            {pred_affs: "volumes/pred_affs"},
            output_dir=work,
            output_filename="predicted.hdf",
            compression_type="gzip",
        )
        + gp.PrintProfilingStats(every=10)
        + gp.Scan(reference)
    )
    with gp.build(pipeline):
        result = pipeline.request_batch(gp.BatchRequest())
    assert len(result) == 0


train(num_iterations)
predict(num_iterations)
