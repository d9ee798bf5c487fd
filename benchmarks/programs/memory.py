"""What memory a process and its children hold, as the kernel counts it (Linux)."""

import os
from pathlib import Path


def of_family():
    """Bytes, each page divided by how many processes share it.

    "slot": results of workers; "shared": what all workers read, such as decoded chunks; "rest":
    all else. "private" has what each process holds for itself alone, the parent first.
    """
    found = {"slot": 0, "shared": 0, "rest": 0, "private": []}
    for process in family(os.getpid()):
        private = 0
        for name, pss, own in mappings(process):
            kind = next((k for k in ("slot", "shared") if f"memfd:voxflow-{k}" in name), "rest")
            found[kind] += pss
            private += own
        found["private"].append(private)
    return found


def family(process):
    """A process, its children, and theirs."""
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def mappings(process):
    """Name, proportional and private bytes of each mapping."""
    name, pss, own = "", 0, 0
    try:
        lines = Path(f"/proc/{process}/smaps").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        head, *rest = line.split()
        if not head.endswith(":"):
            if name or pss or own:
                yield name, pss, own
            name, pss, own = " ".join(rest[4:]), 0, 0
        elif head == "Pss:":
            pss = int(rest[0]) * 1024
        elif head in ("Private_Clean:", "Private_Dirty:"):
            own += int(rest[0]) * 1024
    yield name, pss, own
