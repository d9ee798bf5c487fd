"""What a pipeline is made of, as plain values that can be kept and compared."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.legacy_random import is_foreign
from voxflow.pipeline.engine.values import class_name, code_hash, parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["describe", "differences"]


def describe(pipeline: Any) -> dict[str, Any]:
    """Describe a pipeline: its nodes, and what they were made with.

    Two pipelines that are described alike make the same batches of the same files, as far as that
    can be told: what files hold is not looked at, but for a ``checkpoint``. Parameters that change
    no result (`BatchProvider.changes_no_result`) are left out.

    Parameters
    ----------
    pipeline
        A pipeline or a node, set up or not.

    Returns
    -------
    dict
        Numbers, text, lists and dicts, for ``json.dumps``; the same in every process and run.
        ``"nodes"``, upstream first: ``"label"``, ``"class"``, ``"inputs"`` (labels), and
        ``"parameters"``: those of the constructor, by name. Arrays, weights, functions and
        checkpoints are described by a hash. What says nothing of itself is ``"opaque"``.

    Examples
    --------
    >>> from voxflow.pipeline.engine import BatchFilter
    >>> class Grow(BatchFilter):
    ...     def __init__(self, by, times=2):
    ...         self.by, self.times = by, times
    >>> (node,) = describe(Grow((4, 4)))["nodes"]
    >>> node["label"], node["parameters"]
    ('Grow', {'by': [4, 4], 'times': 2})
    """
    nodes = list(_nodes(pipeline))
    labels = dict(zip(map(_id, nodes), labels_of([node for node, _ in nodes]), strict=True))
    seen = {_id(entry): entry for entry in nodes}
    return {
        "nodes": [
            _node(node, labels[id(node)], list(_inputs(inputs, seen, labels)))
            for node, inputs in nodes
            if node.changes_no_result is not True
        ]
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Say in which ways a pipeline differs from an older one.

    Parameters
    ----------
    old, new
        What `describe` said of them.

    Returns
    -------
    list[str]
        A line for each difference, in the order of the nodes; none if they are the same.

    Examples
    --------
    >>> old = {"nodes": [{"label": "Normalize", "parameters": {"factor": 1.0}}]}
    >>> new = {"nodes": [{"label": "Normalize", "parameters": {"factor": 0.5}}, {"label": "Pad"}]}
    >>> differences(old, new)
    ['Normalize: factor is 0.5, was 1.0', 'Pad is new']
    """
    before = {node["label"]: node for node in old["nodes"]}
    after = {node["label"]: node for node in new["nodes"]}
    lines = []
    for label, node in after.items():
        if label not in before:
            lines.append(f"{label} is new")
            continue
        was = before[label]
        for name in ("class", "code"):
            lines += _changes(f"{label}: {name}", was.get(name, _NOT), node.get(name, _NOT))
        lines += _changes(label, was.get("parameters", {}), node.get("parameters", {}))
    lines += [f"{label} is gone" for label in before if label not in after]
    if before.keys() == after.keys():
        # Else it follows from what is new or gone.
        for label, node in after.items():
            old_inputs, inputs = before[label].get("inputs", []), node.get("inputs", [])
            if inputs != old_inputs:
                lines.append(
                    f"{label} comes after {_joined(inputs)}, came after {_joined(old_inputs)}"
                )
    return lines


# -- nodes --------------------------------------------------------------------------------------


def _nodes(pipeline: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Nodes with those that they ask, upstream first."""
    if hasattr(pipeline, "children"):
        node, inputs = pipeline.output, list(pipeline.children)
    else:
        node, inputs = pipeline, list(pipeline.get_upstream_providers())
    for each in inputs:
        yield from _nodes(each)
    yield node, [each.output if hasattr(each, "children") else each for each in inputs]


def _id(entry: tuple[Any, list[Any]]) -> int:
    return id(entry[0])


def labels_of(nodes: list[Any]) -> list[str]:
    """Their labels, also before they are set up."""
    if all(node._engine_in_use for node in nodes):
        return [node._engine_label for node in nodes]
    given = {node.given_label for node in nodes} - {None}
    labels: list[str] = []
    for node in nodes:
        name = node.given_label or type(node).__name__
        taken = {*labels, *(given if node.given_label is None else ())}
        labels.append(next(n for n in chain([name], _numbered(name)) if n not in taken))
    return labels


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}-{i}" for i in count(2))


def _inputs(nodes: list[Any], seen: dict[int, Any], labels: dict[int, str]) -> Iterator[str]:
    """The labels of nodes; those of their inputs where a node is left out."""
    for node in nodes:
        if node.changes_no_result is True:
            yield from _inputs(seen[id(node)][1], seen, labels)
        else:
            yield labels[id(node)]


def _node(node: Any, label: str, inputs: list[str]) -> dict[str, Any]:
    kind: Any = type(node)
    described = {
        "label": label,
        "class": class_name(kind),
        "inputs": inputs,
        "parameters": parameters(node),
    }
    if is_foreign(node):
        described["code"] = {"hash": code_hash(kind)}
    return described


# -- differences --------------------------------------------------------------------------------

_NOT = object()
_SHOWN = 200  # characters
_NAMED = {"ArrayKey", "GraphKey", "dtype", "exact", "enum", "float", "complex"}


def _changes(where: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if old is _NOT or new is _NOT:
        yield f"{where} is no longer there" if new is _NOT else f"{where} is new: {_text(new)}"
    elif _has_parts(old) and _has_parts(new) and old.get("class") == new.get("class"):
        if old.get("hash") and new.get("hash") and old["hash"] != new["hash"]:
            yield f"{where} changed (hash {old['hash'][:8]} -> {new['hash'][:8]})"
            new = {**new, "hash": old["hash"]}
        for name in {**old, **new}:
            joint = ": " if ":" not in where else "."
            yield from _changes(f"{where}{joint}{name}", old.get(name, _NOT), new.get(name, _NOT))
    else:
        yield f"{where} is {_text(new)}, was {_text(old)}"


def _joined(labels: list[str]) -> str:
    return ", ".join(labels) or "nothing"


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict) and not (len(value) == 1 and value.keys() <= _NAMED)


def _text(value: Any) -> str:
    if isinstance(value, dict) and not _has_parts(value):
        return str(*value.values())
    text = f"({', '.join(map(_text, value))})" if isinstance(value, list) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
