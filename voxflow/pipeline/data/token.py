"""What it takes to make a batch again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from voxflow.pipeline.data.keys import ArrayKey, GraphKey
from voxflow.pipeline.data.kinds import attrs_of_kind, kind_of_attrs
from voxflow.pipeline.data.request import BatchRequest, RunPosition
from voxflow.pipeline.data.spec import ArraySpec, GraphSpec
from voxflow.pipeline.geometry import Roi


@dataclass(frozen=True, slots=True)
class ReplayToken:
    """A request together with its seed, as one line of text.

    Every batch carries one (`batch.token`), and every snapshot keeps it as an attribute.

    Attributes
    ----------
    text
        The token as JSON.

    Examples
    --------
    >>> request = BatchRequest({ArrayKey("RAW"): Roi((0,), (10,))}, random_seed=7)
    >>> ReplayToken.of(request).request().seed
    7
    """

    text: str

    @classmethod
    def of(cls, request: BatchRequest) -> ReplayToken:
        """The token of a request that has a seed."""
        position = request.position
        arrays = {str(k): _dump(s, _ARRAY_DEFAULTS) for k, s in request.array_specs.items()}
        graphs = {str(k): _dump(s, _GRAPH_DEFAULTS) for k, s in request.graph_specs.items()}
        fields: dict[str, Any] = {"seed": request.seed, "arrays": arrays, "graphs": graphs}
        if position is not None:
            fields["run"] = [position.seed, position.index]
        return cls(json.dumps(fields, separators=(",", ":")))

    def request(self) -> BatchRequest:
        """The request, with the seed it had.

        Raises
        ------
        ValueError
            If the text is no token.
        """
        try:
            fields = json.loads(self.text)
            request = BatchRequest(random_seed=fields["seed"])
            for name, spec in fields["arrays"].items():
                request[ArrayKey(name)] = ArraySpec(**_load(spec))
            for name, spec in fields["graphs"].items():
                request[GraphKey(name)] = GraphSpec(**_load(spec))
            run = fields.get("run")
            return request if run is None else request.at(RunPosition(*run))
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"this is no replay token: {self.text!r} ({error!r})") from error

    def __str__(self) -> str:
        return self.text


_ARRAY_DEFAULTS = {
    "voxel_size": None,
    "interpolatable": None,
    "nonspatial": False,
    "dtype": None,
    "placeholder": False,
}
_GRAPH_DEFAULTS = {"directed": None, "dtype": np.dtype(np.float32), "placeholder": False}


def _dump(spec: ArraySpec | GraphSpec, defaults: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if spec.roi is not None:
        fields["roi"] = [_plain(spec.roi.offset), _plain(spec.roi.shape)]
    for name, default in defaults.items():
        value = getattr(spec, name)
        if value != default or type(value) is not type(default):
            fields[name] = _plain(value)
    if isinstance(spec, ArraySpec) and spec.kind is not None:
        fields["kind"] = attrs_of_kind(spec.kind)
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(v) if isinstance(v, Fraction) else v for v in value]
    return value if value is None or isinstance(value, bool) else str(value)


def _load(fields: dict[str, Any]) -> dict[str, Any]:
    fields = dict(fields)
    if "roi" in fields:
        offset, shape = (_exact(part) for part in fields["roi"])
        fields["roi"] = Roi(offset, shape)
    if "voxel_size" in fields:
        fields["voxel_size"] = _exact(fields["voxel_size"])
    if "kind" in fields:
        fields["kind"] = kind_of_attrs(fields["kind"])
    return fields


def _exact(values: list[Any]) -> list[Any]:
    return [Fraction(v) if isinstance(v, str) else v for v in values]
