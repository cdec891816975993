"""Downloads of large files over HTTP: resumed where they broke off, and never taken for whole before they are."""

from __future__ import annotations

import errno
import http.client
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

MAX_FILE_BYTES = 4 * 2**30
"""Size of a file, at most, in bytes."""

BLOCK_BYTES = 2**18
"""Bytes that are read and written at a time."""

ATTEMPTS = 5
"""Number of times in a row that a download may break off without a byte more."""

TIMEOUT = 60
"""Seconds that a server may be silent."""

MAX_REDIRECTS = 5

OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a disk, a quota, or a limit of the process that is reached."""

ByteReport = Callable[[int, int | None], object]
"""Function that is told the bytes that are there, and how many there will be, if that is known."""


class DownloadFailed(Exception):
    """A file can't be had; the message says why, and what to do."""


class _Redirects(HTTPRedirectHandler):
    """Follow a few redirects, to addresses that might have been given."""

    max_redirections = MAX_REDIRECTS

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        """Return the request for the new address."""
        try:
            check_address(newurl)
        except DownloadFailed:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_address(url: str) -> None:
    """Refuse an address that is not read over an encrypted connection, or from this machine.

    Raises:
        DownloadFailed: the message says what addresses may be given.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise DownloadFailed(f"{url} is no address: {error}.") from error
    if not url.isascii() or not url.isprintable() or " " in url:
        raise DownloadFailed(f"{url} is no address: write spaces and other letters as %20 and the like.")
    if not (host and (parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host)))):
        raise DownloadFailed(f"{url}: only https:// is read, and http:// from this machine.")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def download(url: str, path: Path, report: ByteReport = lambda _done, _total: None) -> None:
    """Download a file to a path, or what is missing of it there from an earlier call.

    What is there is kept when the connection breaks, with what tells whether the server's file is still the same
    beside it; nothing is kept when there is no space left.

    Raises:
        DownloadFailed: the file can't be had; the message says why.
    """
    check_address(url)
    opener, failures = build_opener(_Redirects), 0
    while True:
        before = _size_of(path)
        try:
            _download_rest(opener, url, path, report)
        except HTTPError as error:
            error.close()
            if error.code < 500 and error.code != http.client.REQUEST_TIMEOUT:
                raise DownloadFailed(f"{url}: the server answered {error.code} {error.reason}.") from error
            problem: Exception = error
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = error
        else:
            _state_file(path).unlink(missing_ok=True)
            return
        failures = failures + 1 if _size_of(path) <= before else 1
        if failures == ATTEMPTS:
            raise DownloadFailed(
                f"{url}: the download broke off {ATTEMPTS} times ({problem}). Run the same command again to go on."
            ) from problem
        time.sleep(min(2**failures / 4, 4))


def _download_rest(opener: OpenerDirector, url: str, path: Path, report: ByteReport) -> None:
    start, validator = _size_of(path), _read_validator(path, url)
    headers = {"User-Agent": "similar_images", "Accept-Encoding": "identity"}
    if start and validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    try:
        response = opener.open(Request(url, headers=headers), timeout=TIMEOUT)  # noqa: S310 - see check_address()
    except HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        path.unlink(missing_ok=True)  # more of it is there than the server has: it is read again from the start
        raise ConnectionError("the file has changed") from error
    with response:
        if response.status != http.client.PARTIAL_CONTENT:
            start = 0
        elif not _begins_at(response, start) or _validator_of(response.headers) not in (None, validator):
            path.unlink(missing_ok=True)
            raise ConnectionError("the file has changed")
        length = response.headers.get("Content-Length")
        total = start + int(length) if length is not None and length.isdecimal() else None
        _check_room(path, url, start, total)
        _write_validator(path, url, response.headers)
        with open_for_writing(path, "ab" if start else "wb") as file:
            done = _copy(response, file, start, total, url, report)
        if total is not None and done != total:
            raise ConnectionError(f"{done} of {total} bytes came")


def _copy(response: Any, file: IO[bytes], done: int, total: int | None, url: str, report: ByteReport) -> int:
    report(done, total)
    while block := response.read(BLOCK_BYTES):
        done += len(block)
        if done > MAX_FILE_BYTES:
            raise DownloadFailed(f"{url} is larger than {MAX_FILE_BYTES:,} bytes.")
        file.write(block)
        report(done, total)
    return done


@contextmanager
def open_for_writing(path: Path, mode: str = "wb") -> Iterator[IO[bytes]]:
    """Open a file to write it, and have it on the disk at the end; where there is no space left, delete it.

    Raises:
        DownloadFailed: there is no space left; the message says where.
    """
    try:
        with open(path, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in OUT_OF_SPACE:
            raise
        path.unlink(missing_ok=True)
        raise DownloadFailed(
            f"There is no space left in {path.parent} ({error.strerror}): make room, and run the same command again."
        ) from error


def _check_room(path: Path, url: str, start: int, total: int | None) -> None:
    """Refuse what is too large, for this program or for the disk, before any of it is read."""
    if total is None:
        return
    if total > MAX_FILE_BYTES:
        raise DownloadFailed(f"{url} is larger than {MAX_FILE_BYTES:,} bytes.")
    free = shutil.disk_usage(path.parent).free
    if total - start > free:
        raise DownloadFailed(
            f"There is no space left in {path.parent}: {total - start:,} bytes are to be written, {free:,} are free."
        )


def _begins_at(response: Any, start: int) -> bool:
    """Tell whether an answer with a part of a file has the part that was asked for."""
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _state_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.state")


def _read_validator(path: Path, url: str) -> str | None:
    """Return the text by which the server tells whether its file is that of an earlier call; None for another one."""
    try:
        state = json.loads(_state_file(path).read_text(encoding="utf-8"))
        return str(state["validator"]) if state["url"] == url and state["validator"] else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write_validator(path: Path, url: str, headers: Any) -> None:
    state = {"url": url, "validator": _validator_of(headers)}
    _state_file(path).write_text(json.dumps(state), encoding="utf-8")


def _validator_of(headers: Any) -> str | None:
    """Return what tells one content of a file from another by its bytes; None where the server says nothing."""
    etag = str(headers.get("ETag", ""))
    date = headers.get("Last-Modified")
    return date if etag.startswith("W/") or not etag else etag
