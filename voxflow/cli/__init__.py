"""The command ``voxflow``: it parses, calls a public function, and prints."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command of ``sys.argv``.

    Raises
    ------
    SystemExit
        Always: 0 if all went well, 1 after an error, 2 if command or configuration are wrong, 130
        if it was interrupted.
    """
    try:
        from voxflow.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("click", "pydantic", "yaml"):
            raise
        sys.exit(f'the command voxflow needs {error.name}: pip install "voxflow[train]"')
    app()
