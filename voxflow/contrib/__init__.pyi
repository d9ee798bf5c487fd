from ..nodes.labels.add_vector_map import AddVectorMap
from ..nodes.retired import AddBlobsFromPoints
from ..nodes.retired import AddGtMaskExclusiveZone
from ..nodes.retired import AddNonsymmetricAffinities
from ..nodes.retired import DvidPartnerAnnotationSource
from ..nodes.retired import Hdf5PointsSource

__all__ = [
    "AddBlobsFromPoints",
    "AddGtMaskExclusiveZone",
    "AddNonsymmetricAffinities",
    "AddVectorMap",
    "DvidPartnerAnnotationSource",
    "Hdf5PointsSource",
]
