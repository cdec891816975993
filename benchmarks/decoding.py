"""Cost of decoding in another process: `python -m benchmarks decoding FOLDER [--count N]`.

Both ways alternate in one run: in this process, as Pillow alone does it, and by the decoder. A worker indexes the same
images both ways. A long run of images of mixed sizes shows memory and open files of the worker and its decoders.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from django.core.files.storage import default_storage
from PIL import Image

from similar_images.imaging import decode, decoders
from similar_images.imaging.decoder import reader
from similar_images.indexing import claims, worker
from similar_images.models import IndexedImage
from tests import commands
from tests.testapp.models import Picture

MAX_PIXELS = 80_000_000
IMAGES_AT_ONCE = 5

SIZES = {"0.5 MP JPEG": (800, 600), "1.2 MP JPEG": (1280, 960), "12 MP JPEG": (4000, 3000), "2 MP PNG": (1600, 1250)}
"""Width and height of images whose decoding is timed."""

MIXED_SIZES = [(160, 120), (800, 600), (2000, 1500), (640, 4000), (4000, 3000)]
"""Width and height of the images of the long run, in turn."""


def decode_here(data: bytes, *, max_pixels: int, timeout: float | None = None) -> decode.Picture:
    """Decode in this process."""
    width, height, image = reader.load_image(reader.open_image(data, max_pixels), data)
    return decode.Picture(width, height, np.array(image))


def draw_file(size: tuple[int, int], seed: int, kind: str = "JPEG") -> bytes:
    """Return an image file with detail, such as a photo has."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(size[1] // 8, 1), max(size[0] // 8, 1), 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, kind)
    return buffer.getvalue()


def compare_times(rounds: int) -> Iterator[str]:
    """Yield, for each kind of image, the milliseconds both ways: of the wall clock, and of processors."""
    for label, size in SIZES.items():
        data = draw_file(size, 1, label.split()[-1])
        seconds: dict[Callable[..., Any], list[float]] = {decode_here: [], decode.decode: []}
        processor: dict[Callable[..., Any], float] = dict.fromkeys(seconds, 0.0)
        for _ in range(rounds):
            for function, times in seconds.items():
                start, used = time.perf_counter(), processor_seconds()
                for _ in range(IMAGES_AT_ONCE):
                    function(data, max_pixels=MAX_PIXELS)
                times.append((time.perf_counter() - start) / IMAGES_AT_ONCE)
                processor[function] += (processor_seconds() - used) / IMAGES_AT_ONCE / rounds
        middle, best = ([1000 * figure(times) for times in seconds.values()] for figure in (median, min))
        used_here, used_there = (1000 * value for value in processor.values())
        yield (
            f"{label}: in the process {middle[0]:.1f} ms, in the decoder {middle[1]:.1f} ms; least {best[0]:.1f} and "
            f"{best[1]:.1f}; processor time {used_here:.1f} and {used_there:.1f}, {used_there - used_here:+.1f}"
        )


def processor_seconds() -> float:
    """Return the processor time of this process and its decoders, those that have ended included."""
    own = psutil.Process()
    times = [child.cpu_times() for child in own.children(recursive=True)]
    return sum(sum(spent) for spent in times) + sum(own.cpu_times()[:2])


@contextmanager
def decoding_here() -> Iterator[None]:
    """Decode in this process within the block, as before there were decoders."""
    former = decode.decode
    decode.decode = decode_here
    try:
        yield
    finally:
        decode.decode = former


def index_all(names: list[str]) -> float:
    """Index stored files; return the images per second."""
    Picture.objects.all().delete()
    Picture.objects.bulk_create([Picture(image=name) for name in names])
    start = time.perf_counter()
    while records := claims.claim_batch():
        worker.index_records(records)
    seconds = time.perf_counter() - start
    assert IndexedImage.objects.filter(status="indexed").count() == len(names)
    return len(names) / seconds


def describe_processes() -> str:
    """Return memory and open files of this process and of its decoders."""
    process = psutil.Process()
    children = process.children(recursive=True)
    return (
        f"worker {process.memory_info().rss // 2**20} MB, {process.num_fds()} files; decoders "
        f"{sum(child.memory_full_info().uss for child in children) // 2**20} MB, {len(children)} processes"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--long", type=int, default=0, help="images of the long run")
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    for line in compare_times(options.rounds):
        print(line, flush=True)
    if options.folder:
        files = [path.read_bytes() for path in sorted(options.folder.rglob("*.jpg"))[: options.count]]
    else:
        files = [draw_file((1600, 1200), seed) for seed in range(options.count)]
    names = [default_storage.save(f"{number}.jpg", io.BytesIO(data)) for number, data in enumerate(files)]
    index_all(names[:20])
    for _ in range(3):
        with decoding_here():
            before = index_all(names)
        after = index_all(names)
        print(f"indexing: in the process {before:.1f} images/s, by decoders {after:.1f}, ratio {after / before:.2f}")
    if options.long:
        files = [draw_file(size, seed) for seed in range(20) for size in MIXED_SIZES]
        for start in range(0, options.long, 1000):
            names = [
                default_storage.save("mixed.jpg", io.BytesIO(files[number % len(files)] + number.to_bytes(4, "big")))
                for number in range(start, min(start + 1000, options.long))
            ]
            index_all(names)
            print(f"after {start + len(names):,} images: {describe_processes()}", flush=True)
            for name in names:
                default_storage.delete(name)
    decoders.get_pool().close()
