"""Files and URLs as key-value stores of tensorstore, which retries what fails on the way."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.workers.limits import available_cpus
from voxflow.stores.errors import DiskFull, ReadOnly, StoreError, StoreUnreachable, StoreUnusable
from voxflow.stores.patience import VARIABLE, limit_silence, patience, retries, settle

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "check_bucket",
    "check_home",
    "explain",
    "is_url",
    "join",
    "kvstore_spec",
    "make_context",
    "open_store",
    "wait_for",
]

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


def make_context(kept: int = 0) -> Any:
    """How tensorstore works here: as many threads as we may use, failures retried.

    A file is written under a name of its own and renamed, so that a process which is killed leaves
    the old one or the new one. It is handed to the operating system, as zarr and HDF5 do it, and
    not waited for until it is on the disk.

    Parameters
    ----------
    kept
        How many bytes of decoded chunks it keeps; none where whoever reads through us does so.
    """
    import tensorstore

    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or available_cpus()
    limit_silence()
    return tensorstore.Context(
        {
            "cache_pool": {"total_bytes_limit": kept},
            "data_copy_concurrency": {"limit": threads},
            "file_io_concurrency": {"limit": threads},
            # With locks, what a killed writer left would be written over, and its end would stay.
            "file_io_locking": {"mode": "none"},
            "file_io_sync": False,
            "http_request_retries": retries(),
            "s3_request_retries": retries(),
            "gcs_request_retries": retries(),
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
            f"{uri} cannot be {doing}: the server does not answer, also when it is asked again. "
            f"Check the network and the server, then run it again; {VARIABLE} is how many seconds "
            f"a server is waited for, now {patience():g} ({text})"
        )
    if _FULL.search(text):
        return DiskFull(
            f"{uri} cannot be {doing}: the disk is full. Make room, and run it again ({text})"
        )
    if is_url(uri) and doing in ("made", "written") and text.startswith("NOT_FOUND"):
        return StoreUnusable(
            f"{uri} cannot be {doing}: there is no such bucket. Make it, or correct the URL "
            f"({text})"
        )
    if _REFUSED.search(text):
        return ReadOnly(f"{uri} cannot be {doing}: check its permissions ({text})")
    return StoreUnusable(f"{uri} cannot be {doing}: it may be damaged ({text})")


def open_store(folder: str) -> Any:
    """A folder or URL as tensorstore's key-value store.

    Raises
    ------
    ValueError
        If that fails.
    StoreUnusable
        In a fork, or if the URL is of a kind that is not known.
    """
    import tensorstore

    check_home(folder)
    return settle(tensorstore.KvStore.open(kvstore_spec(folder), context=make_context()))


def wait_for(future: Any, folder: str, nbytes: int = 0) -> Any:
    """Wait for tensorstore, at a URL not for ever.

    Raises
    ------
    ValueError
        tensorstore's, or one of its kind if a server takes too long.
    """
    return settle(future, nbytes) if is_url(folder) else future.result()


def read_key(folder: str, name: str) -> bytes | None:
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
    try:
        found = settle(open_store(folder).read(name))
    except ValueError as error:
        raise explain(error, folder + name, "read") from error
    return bytes(found.value) if found.state == "value" else None


def write_key(folder: str, name: str, value: bytes) -> None:
    """Write a small file as a whole.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    try:
        wait_for(open_store(folder).write(name, value), folder, len(value))
    except ValueError as error:
        raise explain(error, folder + name, "written") from error


def check_bucket(folder: str, uri: str) -> None:
    """Raise if something is to be made in a bucket that is not there.

    Raises
    ------
    StoreError
        If there is none, or nobody answers.
    """
    import tensorstore

    if folder.startswith(("s3://", "gs://")):
        try:
            settle(open_store(folder).list(tensorstore.KvStore.KeyRange("info", "info0")))
        except ValueError as error:
            raise explain(error, uri, "made") from error


def delete_folder(folder: str) -> None:
    """Delete all that is in a folder or below a URL."""
    import tensorstore

    try:  # many requests, each of which is tensorstore's to give up
        open_store(folder).delete_range(tensorstore.KvStore.KeyRange()).result()
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
        opened = tensorstore.open(dict(spec), context=make_context(), **options)
        return wait_for(opened, uri)
    except ValueError as error:
        doing = "made" if options.get("create") else "opened"
        raise explain(error, uri, doing) from error
