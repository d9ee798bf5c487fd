"""Arrays into OME-Zarr images, with a pyramid of coarser levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.layout import by_key
from voxflow.nodes.sinks.ome_image import DownSampling, OmeImage, delete_image, set_image_attrs
from voxflow.nodes.sinks.pyramid import choose_method, make_pyramid
from voxflow.stores import Geometry
from voxflow.stores.base import parse_choice
from voxflow.stores.metadata import plain_numbers
from voxflow.stores.names import clean_path
from voxflow.stores.ngff import NgffVersion, make_channels, make_multiscales

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

    from voxflow.nodes.sinks.layout import Factors, Sizes
    from voxflow.nodes.sinks.target import Target
    from voxflow.pipeline.data import Array, ArrayKey
    from voxflow.pipeline.geometry import Coordinate
    from voxflow.stores import Compression
    from voxflow.stores.place import Format

_FINEST = "s0"
_LONG = {"nm": "nanometer", "um": "micrometer", "µm": "micrometer", "mm": "millimeter"}
_LEAD = ("t", "c")
_SPACE = ("z", "y", "x")


class OmeZarrWrite(DatasetWrite):
    """Writes every batch that passes to its place in OME-Zarr images.

    Each array becomes an image: a group, with the array as its finest level, ``s0``. A scan that
    fills outputs makes the coarser levels when all its blocks are written (`finish`). Without one,
    or where a scan is asked for arrays, call `voxflow.make_pyramid` with the store and the name of
    the image.

    The axes are the last of t, c, z, y, x. Channels of a voxel size are not touched. An image that
    is there is filled further, as with `DatasetWrite`; its coarser levels are made anew then.

    Parameters
    ----------
    dataset_names
        The path of the image in the store for each array; "" is the store itself.
    store
        A folder or URL, or a zarr store or group.
    compression_type, dataset_dtypes, chunks, shards, scale
        As for `DatasetWrite` and `ZarrWrite`.
    version
        Of the format: "0.5" (zarr format 3) or "0.4" (zarr format 2).
    levels
        How many, with the finest; None: until one fits in a chunk, 1: no pyramid.
    downsample
        What a coarser voxel becomes of those it covers, one for all arrays or by key: "mean",
        "mode" (the most frequent), "median", "min", "max", "stride" (the first). By default
        "mode" for arrays that are not interpolatable, else "mean".
    channel_names
        Names for viewers, as many as there are channels; one list for all arrays, or by key.
    unit
        Of world units, such as "nanometer"; one, or one for each spatial axis. None: not stated.

    Raises
    ------
    ValueError
        If an option is none of these, or shards are asked for in version "0.4". At setup: if an
        array has other than 2 or 3 spatial axes. At the first batch: if it has more than two axes
        before them, or other than `channel_names` channels.
    OutputMismatch
        If an image is there that differs.
    """

    format: ClassVar[Format | None] = "zarr"
    codecs: ClassVar[tuple[str, ...] | None] = ("gzip", "zstd", "blosc")
    separator: Literal[".", "/"] | None = "/"

    def __init__(
        self,
        dataset_names: Mapping[ArrayKey, str],
        store: Any,
        compression_type: Compression = None,
        dataset_dtypes: Mapping[ArrayKey, DTypeLike] | None = None,
        *,
        version: NgffVersion = "0.5",
        levels: int | None = None,
        downsample: DownSampling | Mapping[ArrayKey, DownSampling] | None = None,
        channel_names: Sequence[str] | Mapping[ArrayKey, Sequence[str]] | None = None,
        unit: str | Sequence[str] | None = None,
        chunks: Sizes = None,
        shards: Sizes = None,
        scale: Factors = None,
    ) -> None:
        parse_choice("version", version, ("0.4", "0.5"))
        if version == "0.4" and shards is not None:
            raise ValueError('OME-Zarr 0.4 has no shards; use version="0.5", or leave them out')
        if levels is not None and levels < 1:
            raise ValueError(f"levels has to be at least 1, the finest, got {levels}")
        super().__init__(
            dataset_names,
            store,
            compression_type,
            dataset_dtypes,
            chunks=chunks,
            shards=shards,
            zarr_format=2 if version == "0.4" else 3,
            scale=scale,
        )
        self.images = self.dataset_names
        self.dataset_names = {k: clean_path(f"{n}/{_FINEST}") for k, n in self.images.items()}
        self.version: NgffVersion = version
        self.levels = levels
        self.downsample = by_key(downsample, self.images, "downsample")
        self.channel_names = by_key(channel_names, self.images, "channel_names")
        self.unit = unit
        for method in self.downsample.values():
            parse_choice("downsample", method, get_args(DownSampling))

    def setup(self) -> None:
        """Check that there is a place for everything, and that it can be an image."""
        for key in self.images:
            spec = self.spec[key]
            dims = None if spec.voxel_size is None else len(spec.voxel_size)
            if dims not in (None, 2, 3):
                raise ValueError(
                    f"{self.name()} cannot write {key}, which has {dims} spatial "
                    "axes; OME-Zarr has 2 or 3"
                )
            self._units(dims or 3)
        super().setup()

    def _units(self, dims: int) -> tuple[str, ...] | None:
        if self.unit is None:
            return None
        units = (self.unit,) * dims if isinstance(self.unit, str) else tuple(self.unit)
        if len(units) != dims:
            raise ValueError(f"unit={self.unit!r} is not one for each of {dims} spatial axes")
        return tuple(_LONG.get(unit, unit) for unit in units)

    def _geometry(self, key: ArrayKey, lead: int) -> Geometry:
        spec = self.spec[key]
        if lead > len(_LEAD):
            raise ValueError(
                f"{self.name()} cannot write {key}, which has {lead} axes before the spatial ones; "
                "OME-Zarr has time and channels there"
            )
        dims = len(spec.grid)
        axes = (*_LEAD[len(_LEAD) - lead :], *_SPACE[len(_SPACE) - dims :])
        return Geometry(spec.grid, spec.region.offset, self._units(dims), axes)

    def _open(
        self, arrays: Mapping[ArrayKey, Array], stride: Coordinate | None
    ) -> dict[ArrayKey, Target]:
        targets = super()._open(arrays, stride)
        for key in targets:
            # Coarser levels, if there are any, will no longer be what is written now.
            OmeImage(self.store, self.dataset_names[key]).forget()
        return targets

    def _make(self, key: ArrayKey, array: Array, block: tuple[int, ...]) -> Target:
        # Before the dataset: so there is none that nothing speaks of.
        set_image_attrs(self.store, self.images[key], self._metadata(key, array), self.version)
        return super()._make(key, array, block)

    def remove(self) -> None:
        """Delete all levels of the images that are written; not in a pipeline in use."""
        self._check_format()
        for name in self.images.values():
            delete_image(self.store, name)

    def finish(self) -> None:
        """Make the coarser levels that are not there yet; what was not written counts as fill."""
        for name in self.dataset_names.values():
            if self._existing(name) is not None:
                make_pyramid(self.store, name, levels=self.levels, missing_chunks="fill")

    def _metadata(self, key: ArrayKey, array: Array) -> dict[str, Any]:
        dtype, lead = self._dtype(key, array), self._lead(key, array)
        geometry, names = self._geometry(key, len(lead)), self.channel_names.get(key)
        count = lead[-1] if lead else 1
        if names is not None and len(names) != count:
            raise ValueError(f"{key} has {count} channels, channel_names are {list(names)}")
        method = self.downsample.get(key) or choose_method(dtype, self.spec[key].interpolatable)
        units = (None,) * len(lead) + (geometry.units or (None,) * len(geometry.voxel_size))
        kinds = {"t": "time", "c": "channel"}
        axes = geometry.axes or ()
        scale = [1] * len(lead) + plain_numbers(geometry.voxel_size)
        offset = [0] * len(lead) + plain_numbers(geometry.offset)
        return make_multiscales(
            [(_FINEST, scale, offset)],
            [(a, kinds.get(a, "space"), unit) for a, unit in zip(axes, units, strict=True)],
            self.version,
            self.images[key].rpartition("/")[2],
            method=method,
            channels=None if names is None else make_channels(names, dtype),
        )
