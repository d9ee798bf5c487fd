"""``python -m voxflow.cli`` is ``voxflow``."""

from voxflow.cli import main

main()
