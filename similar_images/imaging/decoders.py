"""The decoders of this process: started when they are needed, kept, shared by threads, and replaced when they fail."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from math import inf
from pathlib import Path
from threading import TIMEOUT_MAX, BoundedSemaphore, Lock
from time import monotonic
from typing import IO, cast

from django.utils.translation import gettext as _

from .decoder.protocol import OUTPUT_BYTES, REPLY_SIZE, Limits, Reply, ReplyKind, Request
from .formats import accepted_formats

LIMITS = Limits()

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Cores that this process may use."""

LIGHT_SLOTS = max(2, CORES)
"""Images that are decoded at a time; further ones wait."""

HEAVY_SLOTS = max(1, CORES // 2)
"""Images that are decoded at a time, besides the others, of those that take long: each may need much memory."""

START_SECONDS = 30
"""Seconds after which a decoder that has not started is given up."""

GRACE_SECONDS = 5
"""Seconds that a decoder has beyond a limit to end the process that decodes, before it is ended itself."""

_STARTER = "import sys; sys.path += sys.argv[2:]; from decoder.program import main; main(int(sys.argv[1]))"
_KEPT_VARIABLES = ("DYLD_", "LD_", "PATH")

_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(8 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
}
"""Settings of glibc: one arena, as further ones reserve address space; memory is kept from one image to the next."""

logger = logging.getLogger("similar_images")


class DecoderUnavailable(TimeoutError):
    """The image could not be decoded now, which is not its fault; worth another try."""

    def __init__(self) -> None:
        super().__init__(_("The image can't be read right now. Please try again later."))


class DecoderCrashed(Exception):
    """The process that decoded was ended by none of its limits; `number` is that of the signal, or 0."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Decoder:
    """A decoder process, for one request at a time."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            DecoderUnavailable: it does not start.
        """
        self._buffer = _open_buffer()
        folders = dict.fromkeys([Path(__file__).parent, _find_folder("PIL"), *_find_plugin_folders()])
        command = [_find_interpreter(), "-I", "-S", "-c", _STARTER, str(self._buffer.fileno()), *map(str, folders)]
        environment = {name: value for name, value in os.environ.items() if name.startswith(_KEPT_VARIABLES)}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and no input of users
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                pass_fds=[self._buffer.fileno()],
                env=environment | _ALLOCATOR,
                process_group=0,  # Ctrl-C in a terminal is for this process, which ends its decoders
            )
        except OSError as error:
            self._buffer.close()
            logger.exception("The image decoder can't be started.")
            raise DecoderUnavailable from error
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._replies = cast("IO[bytes]", self._process.stdout)
        try:
            self._receive(START_SECONDS)
        except BaseException as error:
            self.close(by_force=True)
            if isinstance(error, DecoderCrashed):
                logger.error("The image decoder ended with code %s when it started.", self._process.returncode)
                raise DecoderUnavailable from error
            raise

    def ask(self, request: Request, data: bytes) -> tuple[Reply, bytearray]:
        """Send an image and wait for the reply; return it, and what the decoder put into the buffer.

        Raises:
            DecoderUnavailable: it took longer than the request allows.
            DecoderCrashed: the process that decoded is gone.
        """
        buffer = self._buffer.fileno()
        os.ftruncate(buffer, max(len(data), OUTPUT_BYTES))
        written = 0
        while written < len(data):
            written += os.pwrite(buffer, memoryview(data)[written:], written)
        try:
            self._requests.write(request.pack())
        except BrokenPipeError:
            raise DecoderCrashed(0) from None
        reply = self._receive(request.wall_seconds + GRACE_SECONDS)
        result = bytearray(min(reply.size, OUTPUT_BYTES))
        os.preadv(buffer, [result], 0)
        return reply, result

    def close(self, *, by_force: bool = False) -> None:
        """End the process, at once or when it has done its work, and wait until it is gone."""
        self._close_files()
        if by_force:
            self._process.terminate()  # it ends the process that decodes, and then itself
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def disown(self) -> None:
        """Close the files of a decoder that belongs to the process that this one was forked from."""
        self._close_files()
        self._process.returncode = 0  # it is not to be waited for

    def _close_files(self) -> None:
        for file in (self._requests, self._replies, self._buffer):
            file.close()

    def _receive(self, seconds: float) -> Reply:
        poll = select.poll()
        poll.register(self._replies, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise DecoderUnavailable
        data = self._replies.read(REPLY_SIZE)
        reply = Reply.unpack(data) if len(data) == REPLY_SIZE else Reply(ReplyKind.DIED)
        if reply.kind is ReplyKind.DIED and reply.number not in (signal.SIGALRM, signal.SIGPROF):
            raise DecoderCrashed(reply.number)
        return reply


def _open_buffer() -> IO[bytes]:
    """Return a file in memory, or one without a name where the system has no such files."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("similar_images"), "r+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the decoder
    os.ftruncate(file.fileno(), OUTPUT_BYTES)
    return file


def _find_folder(package: str) -> Path:
    """Return the folder that a package would be imported from."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(next(iter(spec.submodule_search_locations))).parent


def _find_plugin_folders() -> list[Path]:
    """Return the folder of Pillow's plug-in for HEIC, where it is installed."""
    return [_find_folder("pillow_heif")] if find_spec("pillow_heif") else []


def _find_interpreter() -> str:
    """Return the Python interpreter; in a server that embeds Python, `sys.executable` is that server."""
    if "python" in Path(sys.executable or "").name.lower():
        return sys.executable
    return str(Path(sys.prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))


class DecoderPool:
    """Decoders that threads share.

    Heavy images wait in a line of their own, so that one of ordinary size never waits for them.

    Args:
        light_slots: images that are decoded at a time.
        heavy_slots: heavy images that are decoded at a time, besides these.
    """

    def __init__(self, light_slots: int = LIGHT_SLOTS, heavy_slots: int = HEAVY_SLOTS) -> None:
        self._slots = {False: BoundedSemaphore(light_slots), True: BoundedSemaphore(heavy_slots)}
        self._idle: list[Decoder] = []
        self._busy: list[Decoder] = []
        self._lock = Lock()

    def decode(self, data: bytes, max_pixels: int, timeout: float | None = None) -> tuple[Reply, bytearray]:
        """Return a decoder's reply to an image file, and the result.

        Args:
            data: an image file.
            max_pixels: maximum width × height.
            timeout: seconds to wait for a decoder and for its reply; None waits as long as others take.

        Raises:
            DecoderUnavailable: there was no time.
            DecoderCrashed: twice, on this image.
        """
        deadline = inf if timeout is None else monotonic() + timeout
        longest = 10 + 4 * LIMITS.processor_seconds(max_pixels)
        is_heavy = has_crashed = False
        while True:
            try:
                with self._lend(deadline, is_heavy=is_heavy) as decoder:
                    seconds = max(min(longest, deadline - monotonic()), 0.001)
                    request = Request(len(data), max_pixels, seconds, is_heavy, accepted_formats(), LIMITS)
                    reply, result = decoder.ask(request, data)
            except DecoderCrashed:
                if has_crashed:
                    raise
                has_crashed = True
                continue
            if reply.kind is not ReplyKind.HEAVY:
                return reply, result
            is_heavy = True

    @contextlib.contextmanager
    def _lend(self, deadline: float, *, is_heavy: bool) -> Iterator[Decoder]:
        """Lend a decoder to this thread; it is ended if the block raises anything."""
        slots = self._slots[is_heavy]
        if not slots.acquire(timeout=min(max(deadline - monotonic(), 0), TIMEOUT_MAX)):
            raise DecoderUnavailable
        try:
            with self._lock:
                decoder = self._idle.pop() if self._idle else None
            decoder = decoder or Decoder()
            self._busy.append(decoder)
            try:
                yield decoder
            except BaseException:  # or else a late reply would be taken for that to the next request
                decoder.close(by_force=True)
                raise
            finally:
                self._busy.remove(decoder)
            with self._lock:
                self._idle.append(decoder)
        finally:
            slots.release()

    def close(self) -> None:
        """End the idle decoders."""
        while self._idle:
            self._idle.pop().close()

    def disown(self) -> None:
        """Close the files of all decoders, in a process that was forked from theirs."""
        for decoder in (*self._idle, *self._busy):
            decoder.disown()


_pool = DecoderPool()


def get_pool() -> DecoderPool:
    """Return the decoders of this process."""
    return _pool


def _renew_pool() -> None:
    global _pool
    _pool.disown()
    _pool = DecoderPool()


os.register_at_fork(after_in_child=_renew_pool)
atexit.register(lambda: get_pool().close())
