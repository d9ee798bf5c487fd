"""Files and URLs as key-value stores of tensorstore, which retries what fails on the way.

A request that fails for a reason that may pass (no connection, a timeout, a server that is
overloaded) is tried again after a pause, which doubles each time. After that it is an error.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.workers.limits import available_cpus
from voxflow.stores.errors import ReadOnly, StoreError, StoreUnreachable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RETRIES", "check_home", "explain", "is_url", "join", "kvstore_spec", "make_context"]

RETRIES: dict[str, Any] = {"max_retries": 7, "initial_delay": "250ms", "max_delay": "8s"}
"""How often a request is tried again, and how long the pauses are: half a minute at most."""

SCHEMES = ("http://", "https://", "s3://", "gs://")
"""The URLs that are known."""

# The process that uses tensorstore, whose threads a fork does not have.
_home: int | None = None


def is_url(path: str) -> bool:
    """Say whether a path is a URL.

    >>> is_url("s3://bucket/a.zarr"), is_url("a.zarr")
    (True, False)
    """
    return "://" in path


def join(root: str, path: str) -> str:
    """A path in a folder or below a URL, ending in a slash.

    >>> join("s3://bucket/a.n5", "raw")
    's3://bucket/a.n5/raw/'
    """
    return "/".join(part for part in (root.rstrip("/"), path.strip("/")) if part) + "/"


def kvstore_spec(folder: str) -> dict[str, Any]:
    """What tensorstore has to be told of a folder or URL.

    For S3, the usual variables count: ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` for another
    server than Amazon's, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID`` and so on.

    Raises
    ------
    StoreUnusable
        If the URL is of a kind that is not known.

    Examples
    --------
    >>> kvstore_spec("https://host:8000/data/a.n5/")
    {'driver': 'http', 'base_url': 'https://host:8000', 'path': '/data/a.n5/'}
    """
    scheme, colon, rest = folder.partition("://")
    if not colon:
        return {"driver": "file", "path": os.path.abspath(folder) + "/"}
    host, _, path = rest.partition("/")
    if scheme in ("http", "https"):
        return {"driver": "http", "base_url": f"{scheme}://{host}", "path": f"/{path}"}
    if scheme == "gs":
        return {"driver": "gcs", "bucket": host, "path": path}
    if scheme != "s3":
        raise StoreUnusable(
            f"{folder}: there is no reader for {scheme}://; known are {', '.join(SCHEMES)}"
        )
    spec = {"driver": "s3", "bucket": host, "path": path}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        spec |= {"endpoint": endpoint.rstrip("/"), "aws_region": region or "us-east-1"}
    elif region:
        spec |= {"aws_region": region}
    return spec


def make_context() -> Any:
    """How tensorstore works here: as many threads as we may use, nothing kept, failures retried."""
    import tensorstore

    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or available_cpus()
    return tensorstore.Context(
        {
            "cache_pool": {"total_bytes_limit": 0},  # chunks are kept by whoever reads through us
            "data_copy_concurrency": {"limit": threads},
            "file_io_concurrency": {"limit": threads},
            "http_request_retries": RETRIES,
            "s3_request_retries": RETRIES,
            "gcs_request_retries": RETRIES,
        }
    )


def in_home() -> bool:
    """Whether this process can use tensorstore: it, and no process that it was forked from, did."""
    global _home
    _home = _home or os.getpid()
    return _home == os.getpid()


def check_home(uri: str) -> None:
    """Raise where tensorstore would wait for ever for threads that a fork does not have.

    Raises
    ------
    StoreUnusable
        In a fork of a process that used tensorstore.
    """
    if not in_home():
        raise StoreUnusable(
            f"{uri} cannot be read in a fork of a process that has read such data, because threads "
            "are not forked: start processes with the method 'spawn' or 'forkserver', as the "
            "workers of voxflow are"
        )


_LOST = re.compile(r"^(ABORTED|UNAVAILABLE|DEADLINE_EXCEEDED)|retry attempts failed")
_REFUSED = re.compile(r"^PERMISSION_DENIED|Permission denied|Read-only file system|HTTP 40[13]")
_FULL = re.compile(r"^RESOURCE_EXHAUSTED|No space left|Disk quota", re.IGNORECASE)


def is_lost(error: Exception) -> bool:
    """Say whether tensorstore's error is that nobody answers."""
    return bool(_LOST.search(str(error)))


def explain(error: Exception, uri: str, doing: str) -> StoreError:
    """Make one of our errors of one of tensorstore's, whose kind is in its text.

    Parameters
    ----------
    error
        As raised.
    uri
        Of the dataset.
    doing
        ``"read"`` or ``"written"``.

    Examples
    --------
    >>> str(explain(ValueError("RESOURCE_EXHAUSTED: no quota"), "a.n5:raw", "written"))[:47]
    'a.n5:raw cannot be written: the disk is full. M'
    """
    text = " ".join(str(error).split())
    text = re.sub(r"\s*\[(source locations|tensorstore_spec)=.*", "", text)
    if is_lost(error):
        return StoreUnreachable(
            f"{uri} cannot be {doing}: the server does not answer, also when asked "
            f"{RETRIES['max_retries']} times more. Check the network and the server, then run it "
            f"again ({text})"
        )
    if _FULL.search(text):
        return StoreUnusable(
            f"{uri} cannot be {doing}: the disk is full. Make room, and run it again ({text})"
        )
    if _REFUSED.search(text):
        return ReadOnly(f"{uri} cannot be {doing}: check its permissions ({text})")
    return StoreUnusable(f"{uri} cannot be {doing}: it may be damaged ({text})")


def read_key(folder: str, name: str, context: Any = None) -> bytes | None:
    """The bytes of a small file in a folder or below a URL; None if there is none.

    Raises
    ------
    StoreError
        If it cannot be told.
    """
    if not is_url(folder):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
    import tensorstore

    check_home(folder)
    try:
        store = tensorstore.KvStore.open(
            kvstore_spec(folder), context=context or make_context()
        ).result()
        found = store.read(name).result()
    except ValueError as error:
        raise explain(error, join(folder, name), "read") from error
    return bytes(found.value) if found.state == "value" else None


def write_key(folder: str, name: str, value: bytes) -> None:
    """Write a small file as a whole.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    import tensorstore

    check_home(folder)
    try:
        store = tensorstore.KvStore.open(kvstore_spec(folder), context=make_context()).result()
        store.write(name, value).result()
    except ValueError as error:
        raise explain(error, join(folder, name), "written") from error


def delete_folder(folder: str) -> None:
    """Delete all that is in a folder or below a URL."""
    import tensorstore

    check_home(folder)
    store = tensorstore.KvStore.open(kvstore_spec(folder), context=make_context()).result()
    try:
        store.delete_range(tensorstore.KvStore.KeyRange()).result()
    except ValueError as error:
        raise explain(error, folder, "deleted") from error


def open_array(spec: Mapping[str, Any], uri: str, **options: Any) -> Any:
    """Open one of tensorstore's arrays.

    Raises
    ------
    StoreError
        If that fails.
    """
    import tensorstore

    check_home(uri)
    try:
        return tensorstore.open(dict(spec), context=make_context(), **options).result()
    except ValueError as error:
        doing = "made" if options.get("create") else "opened"
        raise explain(error, uri, doing) from error
