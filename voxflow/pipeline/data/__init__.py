"""What a request asks and what a batch holds."""

from voxflow.pipeline.data.array import Array
from voxflow.pipeline.data.batch import Batch
from voxflow.pipeline.data.graph import Graph
from voxflow.pipeline.data.keys import ArrayKey, ArrayKeys, GraphKey, GraphKeys
from voxflow.pipeline.data.kinds import Affinities, Descriptors, Kind, Vectors
from voxflow.pipeline.data.node import Edge, Node
from voxflow.pipeline.data.profiling import ProfilingStats, Timing, TimingSummary
from voxflow.pipeline.data.provider_spec import Key, ProviderSpec
from voxflow.pipeline.data.request import BatchRequest, RunPosition
from voxflow.pipeline.data.spec import ArraySpec, GraphSpec, Spec
from voxflow.pipeline.data.token import ReplayToken

__all__ = [
    "Affinities",
    "Array",
    "ArrayKey",
    "ArrayKeys",
    "ArraySpec",
    "Batch",
    "BatchRequest",
    "Descriptors",
    "Edge",
    "Graph",
    "GraphKey",
    "GraphKeys",
    "GraphSpec",
    "Key",
    "Kind",
    "Node",
    "ProfilingStats",
    "ProviderSpec",
    "ReplayToken",
    "RunPosition",
    "Spec",
    "Timing",
    "TimingSummary",
    "Vectors",
]
