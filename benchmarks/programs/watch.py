"""The memory of this process, and the most that the system cannot take back."""

import threading
import time
from pathlib import Path

EVERY = 0.005
"""Seconds between two looks."""


class Watch:
    """Notes the most anonymous memory (Linux: RssAnon), in bytes, since it was last cleared."""

    def __init__(self):
        self.clear()
        threading.Thread(target=self._look, daemon=True).start()

    def clear(self):
        self.most = memory("RssAnon")

    def _look(self):
        while True:
            time.sleep(EVERY)
            self.most = max(self.most, memory("RssAnon"))


def memory(which):
    """What the system says of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(which)).split()[1])
