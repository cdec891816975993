"""The decoder's main loop: a supervisor that forks the process that decodes, and forks another where that ends.

The supervisor has Pillow loaded, with all that decoding needs, and never touches an image, so that replacing a process
takes milliseconds. The process decodes one image after another, each within limits that the system enforces:

- processor time by an interval timer, which counts only what this image takes, and in milliseconds; RLIMIT_CPU counts
  whole seconds over the life of the process,
- time by another one,
- address space by RLIMIT_AS, where the system has it: macOS does not enforce it.

Until its size is known, an image may take what the largest one allowed may take, but no more time than a tiny one.
"""

from __future__ import annotations

import contextlib
import gc
import json
import mmap
import os
import resource
import signal
import sys
import warnings
from pathlib import Path

from PIL import BmpImagePlugin, GifImagePlugin, Image, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin

from .protocol import OUTPUT_BYTES, REQUEST_SIZE, Refusal, Reply, ReplyKind, Request
from .reader import load_image, open_image
from .structure import check_structure

IMAGES_PER_PROCESS = 200
"""Images after which a process is replaced, in case that decoders leak memory. After a heavy one it always is."""

NICENESS = 10
"""Niceness of a process that decodes a heavy image: what visitors wait for goes first."""

STOPPED = 3
"""Exit code of a process that found nobody to work for."""

_FIXED_LIMITS = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: 16}
_REQUESTS, _REPLIES = 0, 1


def main(buffer_file: int) -> None:
    """Serve requests from standard input, with replies to standard output, until it ends or SIGTERM comes."""
    assert all((BmpImagePlugin, GifImagePlugin, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin))  # noqa: S101 - uses the imports
    Image.init()  # otherwise done for each file of an unknown format
    warnings.simplefilter("ignore")
    for number in (signal.SIGALRM, signal.SIGPROF):  # a server may have started this process with signals ignored
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    child = 0

    def stop(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if child:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    gc.collect()
    gc.freeze()
    _reply(Reply(ReplyKind.READY))
    with mmap.mmap(buffer_file, OUTPUT_BYTES) as output:
        while True:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            child = os.fork()
            if not child:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
                os._exit(_run(buffer_file, output))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            _, status = os.waitpid(child, 0)
            child = 0
            code = os.waitstatus_to_exitcode(status)
            if code == STOPPED:
                return
            if code:
                _reply(Reply(ReplyKind.DIED, number=max(-code, 0)))


def _run(buffer_file: int, output: mmap.mmap) -> int:
    """Serve some requests; return the exit code."""
    with contextlib.suppress(OSError):  # Linux: where memory runs out, end this process rather than the site's
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    for limit, value in _FIXED_LIMITS.items():
        resource.setrlimit(limit, (value, value))
    try:
        for _ in range(IMAGES_PER_PROCESS):
            data = os.read(_REQUESTS, REQUEST_SIZE)
            if len(data) < REQUEST_SIZE:
                return STOPPED
            request = Request.unpack(data)
            reply = serve(request, buffer_file, output)
            _reply(reply)
            if request.may_be_heavy:
                break
    except BrokenPipeError:
        return STOPPED
    return 0


def _reply(reply: Reply) -> None:
    os.write(_REPLIES, reply.pack())  # fewer bytes than a pipe takes at once


def serve(request: Request, buffer_file: int, output: mmap.mmap) -> Reply:
    """Decode the image in the buffer, and write what comes of it there."""
    try:
        limit_time(request.limits.processor_seconds(0), request.wall_seconds)
        limit_memory(request, request.max_pixels)
        data = os.pread(buffer_file, request.file_size, 0)
        is_quick = check_structure(data)
        image = open_image(data, request.max_pixels, request.formats)
        pixels = image.width * image.height
        if pixels > request.limits.light_pixels and not is_quick:
            if not request.may_be_heavy:
                return Reply(ReplyKind.HEAVY)
            os.nice(NICENESS)
        limit_time(request.limits.processor_seconds(pixels), request.wall_seconds)
        limit_memory(request, pixels)
        width, height, image = load_image(image, data)
        result = image.tobytes()
        output[: len(result)] = result
        return Reply(ReplyKind.DECODED, len(result), width, height, *image.size)
    except Refusal as error:
        refusal = error
    except MemoryError:
        refusal = Refusal("memory")
    except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged bytes
        reason = str(error).rstrip(". ") or type(error).__name__
        refusal = Refusal("memory" if "memory" in reason.lower() else "damaged", reason[:500])
    finally:
        limit_time(0, 0)
    text = json.dumps([refusal.code, refusal.detail]).encode()
    output[: len(text)] = text
    return Reply(ReplyKind.REFUSED, len(text))


def limit_time(processor_seconds: float, wall_seconds: float) -> None:
    """End this process after so much time from now; 0 is no limit."""
    signal.setitimer(signal.ITIMER_PROF, processor_seconds)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def limit_memory(request: Request, pixels: int) -> None:
    """Limit the address space to what an image of so many pixels may take."""
    space = _used_address_space() + request.limits.address_space(pixels, request.file_size)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses what it takes for too little
        resource.setrlimit(resource.RLIMIT_AS, (space, resource.RLIM_INFINITY))


def _used_address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 512 * 2**20


if __name__ == "__main__":
    main(int(sys.argv[1]))
