"""How far a scan has come."""

from __future__ import annotations

import sys

from tqdm import tqdm


class ScanCallback:
    """Told about the progress of a scan; override what you need."""

    def plan(self, text: str) -> None:
        """What a scan that writes is going to do, before it begins.

        Parameters
        ----------
        text
            How many blocks, and how much memory they take.
        """

    def start(self, num_total: int) -> None:
        """The scan begins.

        Parameters
        ----------
        num_total
            How many blocks there are.
        """

    def update(self, num_processed: int) -> None:
        """A block is done.

        Parameters
        ----------
        num_processed
            How many blocks are done.
        """

    def stop(self) -> None:
        """The scan ends, done or not."""


class ScanBar(ScanCallback):
    """Shows a progress bar in the terminal."""

    def plan(self, text: str) -> None:
        """Say it above the bar."""
        tqdm.write(text, file=sys.stderr)

    def start(self, num_total: int) -> None:
        """Show the bar."""
        self._bar = tqdm(desc="Scan, chunks processed", total=num_total)
        self._told = False

    def update(self, num_processed: int) -> None:
        """Move the bar on."""
        if not self._told and num_processed > 1:
            # Done by earlier runs: they say nothing about how fast this one is.
            self._bar.initial = self._bar.n = num_processed
        self._told = True
        self._bar.update(num_processed - self._bar.n)

    def stop(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
