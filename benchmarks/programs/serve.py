"""The loop of a side: does what it is asked, and says how long it took. Runs in any environment."""

import importlib
import json
import os
import sys
import time
import traceback


def serve(open_work):
    """Read messages, call methods of what `open_work(library, **options)` gives, answer."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print goes elsewhere

    def answer(message):
        answers.write(json.dumps(message, default=float) + "\n")
        answers.flush()

    try:
        first = json.loads(sys.stdin.readline())
        library = importlib.import_module(first["library"])
        with open_work(library, **first["options"]) as work:
            answer({"versions": versions(library)})
            for line in sys.stdin:
                message = json.loads(line)
                function = getattr(work, message["call"])
                wall, cpu = time.perf_counter(), time.process_time()
                value = function(**message["arguments"])
                seconds = time.perf_counter() - wall, time.process_time() - cpu
                measured = {"wall": seconds[0], "cpu": seconds[1], "value": value}
                if isinstance(value, dict) and "wall" in value:  # it knows better what counts
                    measured |= value
                answer(measured)
    except BaseException:
        answer({"error": traceback.format_exc()})
        raise


def versions(library):
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for name in (library.__name__, "numpy", "scipy", "torch", "numba", "zarr", "h5py"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
