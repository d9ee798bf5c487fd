from ..nodes.labels.add_vector_map import AddVectorMap
from ..nodes.retired import AddBlobsFromPoints
from ..nodes.retired import AddGtMaskExclusiveZone
from ..nodes.retired import AddNonsymmetricAffinities
from ..nodes.retired import DvidPartnerAnnotationSource
from ..nodes.retired import Hdf5PointsSource

from ..nodes.labels.add_boundary_distance_gradients import AddBoundaryDistanceGradients
from ..nodes.labels.prepare_malis import PrepareMalis
from ..nodes.values.zero_out_const_sections import ZeroOutConstSections

__all__ = [
    "AddBlobsFromPoints",
    "AddBoundaryDistanceGradients",
    "AddGtMaskExclusiveZone",
    "AddNonsymmetricAffinities",
    "AddVectorMap",
    "DvidPartnerAnnotationSource",
    "Hdf5PointsSource",
    "PrepareMalis",
    "ZeroOutConstSections",
]
