"""``voxflow segment``: from affinities in a file to segments in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from voxflow.segmentation import Method

__all__ = ["segment"]

_METHODS = ("mutex", "components", "watershed")


_CONFIG = (".yaml", ".yml", ".json")


class _Segment(click.Command):
    """Segments as the command line says, or as a file does, with changes of the command line."""

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **extra: Any
    ) -> click.Context:
        """Take what a file says for what is not said."""
        if args and args[0].endswith(_CONFIG):
            extra["default_map"], args = self._read(args[0]), args[1:]
        return super().make_context(info_name, args, *rest, **extra)

    def _read(self, path: str) -> dict[str, Any]:
        import yaml

        try:
            said = yaml.safe_load(Path(path).read_text())
        except (OSError, yaml.YAMLError) as error:
            raise click.UsageError(f"{path} cannot be read: {error}") from error
        if not isinstance(said, dict):
            raise click.UsageError(f"{path} is to hold lines like affinities: a.zarr:affinities")
        said = {str(name).replace("-", "_"): value for name, value in said.items()}
        unknown = sorted(said.keys() - {param.name for param in self.params})
        if unknown:
            raise click.UsageError(f"{path} says {', '.join(unknown)}, which is no option")
        if isinstance(said.get("block"), int):
            said["block"] = [said["block"]]
        if isinstance(said.get("neighborhood"), list):
            said["neighborhood"] = " ".join(",".join(map(str, o)) for o in said["neighborhood"])
        return said


@click.command(
    cls=_Segment,
    epilog="voxflow segment CONFIG reads arguments and options from a file of YAML, such as "
    "affinities: a.zarr:affinities; options behind it count more.",
)
@click.argument("affinities", metavar="AFFINITIES")
@click.argument("segments", metavar="SEGMENTS")
@click.option("--mask", help="0 where there is no object.")
@click.option(
    "--method", type=click.Choice(_METHODS), default="mutex", show_default=True, help="How."
)
@click.option("--bias", type=float, help="mutex: where together ends and apart begins.")
@click.option("--long-bias", type=float, help="mutex: of other than direct neighbours.")
@click.option("--stride", type=int, help="mutex: look at those at every so-many-th voxel only.")
@click.option("--threshold", type=float, help="components, watershed: join above this.")
@click.option("--seed-distance", type=float, help="watershed: between seeds, in world units.")
@click.option("--tile", type=int, help="watershed: fragments lie in tiles of so many voxels.")
@click.option("--in-sections", is_flag=True, help="watershed: fragments lie in one section.")
@click.option("--foreground", type=float, help="No object where the mean affinity is below.")
@click.option("--full", type=float, help="What stands for an affinity of 1.")
@click.option("--min-size", type=int, default=0, help="Segments of fewer voxels become 0.")
@click.option("--block", type=int, multiple=True, help="Shape in voxels: one, or one per axis.")
@click.option("--neighborhood", help='Where the file does not say: "-1,0,0 0,-1,0 0,0,-1".')
@click.option("--workers", type=int, default=1, show_default=True, help="Processes.")
@click.option(
    "--exist",
    type=click.Choice(("resume", "overwrite", "error")),
    default="resume",
    show_default=True,
    help="What to do where SEGMENTS are there.",
)
def segment(
    affinities: str,
    segments: str,
    mask: str | None,
    method: str,
    block: tuple[int, ...],
    neighborhood: str | None,
    min_size: int,
    workers: int,
    exist: str,
    **options: Any,
) -> None:
    """Segment AFFINITIES into SEGMENTS, block by block, in files of any format.

    A path in a file is given behind a colon: a.zarr:volumes/affinities. What was interrupted goes
    on where it was.
    """
    from voxflow.segmentation import segment_blockwise
    from voxflow.stores import StoreError, open_dataset
    from voxflow.stores.names import split_name

    try:
        how = _method(method, options)
        source = split_name(affinities)
        dims = len(open_dataset(*source).shape) - 1
        report = segment_blockwise(
            source,
            split_name(segments),
            how,
            mask=None if mask is None else split_name(mask),
            neighborhood=None if neighborhood is None else _offsets(neighborhood),
            block=None if not block else block * dims if len(block) == 1 else block,
            min_size=min_size,
            num_workers=workers,
            exist=exist,  # type: ignore[arg-type]
        )
    except (StoreError, ValueError, TypeError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(report)


def _method(name: str, options: dict[str, Any]) -> Method:
    from voxflow.segmentation import Components, MutexWatershed, Watershed

    kinds: dict[str, Any] = {
        "mutex": MutexWatershed,
        "components": Components,
        "watershed": Watershed,
    }
    given = {key: value for key, value in options.items() if value not in (None, False)}
    known = kinds[name].__dataclass_fields__
    others = [f"--{key.replace('_', '-')}" for key in given if key not in known]
    if others:
        raise click.UsageError(f"{', '.join(others)} is not for --method {name}")
    method: Method = kinds[name](**given)
    return method


def _offsets(text: str) -> list[list[int]]:
    try:
        return [[int(step) for step in offset.split(",")] for offset in text.split()]
    except ValueError:
        raise click.UsageError(
            f"--neighborhood is offsets in voxels, as in '-1,0,0 0,-1,0'; got {text!r}"
        ) from None
