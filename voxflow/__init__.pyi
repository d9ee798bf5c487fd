# The face of the package: each public name and the file it comes from.

# The rooms
from . import models, nodes, ops, pipeline, stores, testing, torch
from . import contrib
from . import as_gunpowder, ext, jax, tensorflow, zoo
from . import segmentation
from . import training
from . import evaluation
from . import inspect
from . import pictures
from .version_info import version

# What flows
from .pipeline.geometry.coordinate import Coordinate
from .pipeline.geometry.roi import Roi
from .pipeline.data.keys import ArrayKey, ArrayKeys, GraphKey, GraphKeys
from .pipeline.data.spec import ArraySpec, GraphSpec
from .pipeline.data.kinds import Affinities, Descriptors, Vectors
from .pipeline.data.provider_spec import ProviderSpec
from .pipeline.data.request import BatchRequest
from .pipeline.data.array import Array
from .pipeline.data.graph import Graph
from .pipeline.data.node import Edge, Node
from .pipeline.data.batch import Batch
from .pipeline.data.token import ReplayToken

# The engine
from .pipeline.engine.provider import BatchProvider
from .pipeline.engine.filter import BatchFilter
from .pipeline.engine.pipeline import Pipeline
from .pipeline.engine.build import build
from .pipeline.engine.errors import (
    BatchFilterError,
    BatchMismatch,
    BatchRequestError,
    PipelineRequestError,
    PipelineSetupError,
    PipelineTeardownError,
    RequestRefused,
    SamplingError,
    VoxflowError,
)
from .pipeline.engine.errors import UnhealthyBlock
from .pipeline.engine.errors import UnhealthyStop
from .pipeline.engine.workers.producer_pool import ProducerPool
from .pipeline.engine.workers.errors import (
    WorkerDied,
    WorkerError,
    WorkerFailed,
    WorkerStalled,
)

# The nodes
from .nodes.sources.array_source import ArraySource
from .nodes.sources.hdf5_source import Hdf5Source
from .nodes.sources.paired_sources import paired_sources
from .nodes.sources.item_values import ItemValues
from .nodes.sources.zarr_source import ZarrSource
from .nodes.sources.dataset_source import DatasetSource
from .nodes.sources.csv_points_source import CsvPointsSource
from .nodes.sources.dvid_source import DvidSource
from .nodes.sources.gp_array_source import GPArraySource
from .nodes.sources.gp_graph_source import GPGraphSource
from .nodes.sources.graph_source import GraphSource
from .nodes.sources.klb_source import KlbSource
from .nodes.locations.random_location import RandomLocation
from .nodes.locations.reject import Reject
from .nodes.locations.iterate_locations import IterateLocations
from .nodes.locations.specified_location import SpecifiedLocation
from .nodes.locations.weighted_location import WeightedLocation
from .nodes.shape.align_center import AlignCenter
from .nodes.shape.crop import Crop
from .nodes.shape.pad import Pad
from .nodes.shape.squeeze import Squeeze
from .nodes.shape.unsqueeze import Unsqueeze
from .nodes.shape.stack_channels import StackChannels
from .nodes.values.as_type import AsType
from .nodes.values.intensity_scale_shift import IntensityScaleShift
from .nodes.values.check_health import CheckHealth
from .nodes.values.normalize import Normalize
from .nodes.values.down_sample import DownSample
from .nodes.values.resample import Resample
from .nodes.values.up_sample import UpSample
from .nodes.augment.deform_augment import DeformAugment
from .nodes.augment.elastic_augment import ElasticAugment
from .nodes.augment.grey_augment import GreyAugment
from .nodes.augment.defect_augment import DefectAugment
from .nodes.augment.blur import Blur
from .nodes.augment.add_blobs import AddBlobs
from .nodes.augment.erase import Erase
from .nodes.values.fit_statistics import Statistics
from .nodes.values.fit_statistics import fit_statistics
from .nodes.shape.fit_to_size import FitToSize
from .nodes.shape.fit_to_size import FitBack
from .nodes.augment.intensity_augment import IntensityAugment
from .nodes.augment.noise_augment import NoiseAugment
from .nodes.augment.shift_augment import ShiftAugment
from .nodes.augment.simple_augment import SimpleAugment
from .nodes.augment.warp import Warp
from .nodes.labels.add_affinities import AddAffinities
from .nodes.labels.balance_labels import BalanceLabels
from .nodes.labels.grow_boundary import GrowBoundary
from .nodes.labels.rasterize_graph import RasterizationSettings
from .nodes.labels.rasterize_graph import RasterizeGraph
from .nodes.labels.add_descriptors import AddDescriptors
from .nodes.labels.add_distances import AddDistances
from .nodes.labels.add_mask import AddMask
from .nodes.labels.exclude_labels import ExcludeLabels
from .nodes.labels.handle_blobs import HandleBlobs
from .nodes.labels.labels_to_boundary import LabelsToBoundary
from .nodes.labels.labels_to_classes import LabelsToClasses
from .nodes.labels.renumber_connected_components import RenumberConnectedComponents
from .nodes.flow.blend import Blend
from .nodes.flow.daisy_request_blocks import DaisyRequestBlocks
from .nodes.flow.merge_provider import MergeProvider
from .nodes.flow.seams import SeamMismatch, SeamReport, check_seams
from .nodes.flow.splits import balanced_weights, k_folds, train_valid_split
from .nodes.flow.epoch_provider import EpochProvider
from .nodes.flow.precache import PreCache
from .nodes.flow.random_provider import RandomProvider
from .nodes.scanning.failures import ScanFailed
from .nodes.scanning.function import ScanReport, scan
from .nodes.scanning.job import ScanPolicy
from .nodes.scanning.scan import Scan
from .nodes.scanning.callback import ScanCallback
from .nodes.flow.stack import Stack
from .nodes.sinks.hdf5_write import Hdf5Write
from .nodes.sinks.print_profiling_stats import PrintProfilingStats
from .nodes.sinks.snapshot import Snapshot
from .nodes.sinks.replay import replay
from .nodes.sinks.zarr_write import ZarrWrite
from .nodes.sinks.dataset_write import DatasetWrite
from .nodes.sinks.ome_zarr_write import OmeZarrWrite
from .nodes.sinks.pyramid import make_pyramid

__all__ = [
    "AddAffinities",
    "AddBlobs",
    "AddDescriptors",
    "AddDistances",
    "AddMask",
    "Affinities",
    "AlignCenter",
    "Array",
    "ArrayKey",
    "ArrayKeys",
    "ArraySource",
    "ArraySpec",
    "as_gunpowder",
    "AsType",
    "balanced_weights",
    "BalanceLabels",
    "Batch",
    "BatchFilter",
    "BatchFilterError",
    "BatchMismatch",
    "BatchProvider",
    "BatchRequest",
    "BatchRequestError",
    "Blend",
    "Blur",
    "build",
    "check_seams",
    "CheckHealth",
    "contrib",
    "Coordinate",
    "Crop",
    "CsvPointsSource",
    "DaisyRequestBlocks",
    "DatasetSource",
    "DatasetWrite",
    "DefectAugment",
    "DeformAugment",
    "Descriptors",
    "DownSample",
    "DvidSource",
    "Edge",
    "ElasticAugment",
    "EpochProvider",
    "Erase",
    "evaluation",
    "ExcludeLabels",
    "ext",
    "fit_statistics",
    "FitBack",
    "FitToSize",
    "GPArraySource",
    "GPGraphSource",
    "Graph",
    "GraphKey",
    "GraphKeys",
    "GraphSource",
    "GraphSpec",
    "GreyAugment",
    "GrowBoundary",
    "HandleBlobs",
    "Hdf5Source",
    "Hdf5Write",
    "inspect",
    "IntensityAugment",
    "IntensityScaleShift",
    "ItemValues",
    "IterateLocations",
    "jax",
    "k_folds",
    "KlbSource",
    "LabelsToBoundary",
    "LabelsToClasses",
    "make_pyramid",
    "MergeProvider",
    "models",
    "Node",
    "nodes",
    "NoiseAugment",
    "Normalize",
    "OmeZarrWrite",
    "ops",
    "Pad",
    "paired_sources",
    "pictures",
    "Pipeline",
    "pipeline",
    "PipelineRequestError",
    "PipelineSetupError",
    "PipelineTeardownError",
    "PreCache",
    "PrintProfilingStats",
    "ProducerPool",
    "ProviderSpec",
    "RandomLocation",
    "RandomProvider",
    "RasterizationSettings",
    "RasterizeGraph",
    "Reject",
    "RenumberConnectedComponents",
    "replay",
    "ReplayToken",
    "RequestRefused",
    "Resample",
    "Roi",
    "SamplingError",
    "Scan",
    "scan",
    "ScanCallback",
    "ScanFailed",
    "ScanPolicy",
    "ScanReport",
    "SeamMismatch",
    "SeamReport",
    "segmentation",
    "ShiftAugment",
    "SimpleAugment",
    "Snapshot",
    "SpecifiedLocation",
    "Squeeze",
    "Stack",
    "StackChannels",
    "Statistics",
    "stores",
    "tensorflow",
    "testing",
    "torch",
    "train_valid_split",
    "training",
    "UnhealthyBlock",
    "UnhealthyStop",
    "Unsqueeze",
    "UpSample",
    "Vectors",
    "version",
    "VoxflowError",
    "Warp",
    "WeightedLocation",
    "WorkerDied",
    "WorkerError",
    "WorkerFailed",
    "WorkerStalled",
    "ZarrSource",
    "ZarrWrite",
    "zoo",
]
