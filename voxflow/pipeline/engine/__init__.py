"""Providers, filters, pipelines: how requests and batches move."""

from voxflow.pipeline.engine.build import build
from voxflow.pipeline.engine.describe import describe, differences
from voxflow.pipeline.engine.errors import (
    BatchFilterError,
    BatchMismatch,
    BatchRequestError,
    PipelineRequestError,
    PipelineSetupError,
    PipelineTeardownError,
    RequestRefused,
    SamplingError,
    UnhealthyBlock,
    UnhealthyStop,
    VoxflowError,
    marked,
)
from voxflow.pipeline.engine.explain import AskedFor, Explanation, NodeExplained
from voxflow.pipeline.engine.filter import BatchFilter
from voxflow.pipeline.engine.memory import Memory, MemoryBound, scan_memory
from voxflow.pipeline.engine.pipeline import Pipeline
from voxflow.pipeline.engine.planning import NodePlan
from voxflow.pipeline.engine.profile import NodeProfile, Profile
from voxflow.pipeline.engine.provider import BatchProvider
from voxflow.pipeline.engine.run import Run
from voxflow.pipeline.engine.trace import NodeTrace, Trace

__all__ = [
    "AskedFor",
    "BatchFilter",
    "BatchFilterError",
    "BatchMismatch",
    "BatchProvider",
    "BatchRequestError",
    "Explanation",
    "Memory",
    "MemoryBound",
    "NodeExplained",
    "NodePlan",
    "NodeProfile",
    "NodeTrace",
    "Pipeline",
    "PipelineRequestError",
    "PipelineSetupError",
    "PipelineTeardownError",
    "Profile",
    "RequestRefused",
    "Run",
    "SamplingError",
    "Trace",
    "UnhealthyBlock",
    "UnhealthyStop",
    "VoxflowError",
    "build",
    "describe",
    "differences",
    "marked",
    "scan_memory",
]
