"""What makes a region frozen, and its older ``get_`` and ``set_`` methods."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from voxflow.pipeline.geometry.exact import Exact

if TYPE_CHECKING:
    from voxflow.pipeline.geometry.coordinate import Coordinate

__all__ = ["Frozen"]


class Frozen:
    """Getters that repeat the attributes, setters that refuse, copies that are the same object."""

    __slots__ = ()

    if TYPE_CHECKING:
        offset: Coordinate
        shape: Coordinate

        @property
        def end(self) -> Coordinate: ...  # noqa: D102
        @property
        def center(self) -> Coordinate: ...  # noqa: D102
        @property
        def size(self) -> Exact | None: ...  # noqa: D102
        def to_slices(self) -> tuple[slice, ...]: ...  # noqa: D102

    def get_offset(self) -> "Coordinate":
        """Give ``offset``."""
        return self.offset

    def get_shape(self) -> "Coordinate":
        """Give ``shape``."""
        return self.shape

    def get_begin(self) -> "Coordinate":
        """Give ``begin``."""
        return self.offset

    def get_end(self) -> "Coordinate":
        """Give ``end``."""
        return self.end

    def get_center(self) -> "Coordinate":
        """Give ``center``."""
        return self.center

    def get_size(self) -> Exact | None:
        """Give ``size``."""
        return self.size

    def get_bounding_box(self) -> tuple[slice, ...]:
        """Give ``to_slices()``."""
        return self.to_slices()

    def set_offset(self, new_offset: Iterable[Any]) -> None:
        """Refuse: a region is frozen."""
        self.__setattr__("offset", new_offset)

    def set_shape(self, new_shape: Iterable[Any]) -> None:
        """Refuse: a region is frozen."""
        self.__setattr__("shape", new_shape)

    def freeze(self) -> None:
        """Do nothing: a region is frozen from the start."""

    def thaw(self) -> None:
        """Refuse: a region stays frozen."""
        raise AttributeError(f"{self!r} is frozen for good: make a new Roi in its place")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"a Roi is frozen, {name!r} of {self!r} cannot be set: make a new one and put it in "
            f"its place, as in spec.roi = Roi(new_offset, spec.roi.shape)"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Roi is frozen, {name!r} of {self!r} cannot be deleted")

    def copy(self) -> Self:
        """Give the region itself: it never changes."""
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self
