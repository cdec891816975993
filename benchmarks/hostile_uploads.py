"""A site under attack: `python -m benchmarks hostile_uploads [--seconds N] [--pause N]`.

A live server answers pages of similar items, as JSON, and searches by an honest image, while eight clients upload files
that are built to take long: those that are refused for it, and those that are just within the bounds. Then a worker
meets the same files among good ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from statistics import median
from threading import Event

from django.core.files.base import ContentFile

from project import services
from similar_images.imaging import decoders
from similar_images.indexing import claims, worker
from similar_images.models import IndexedImage
from tests import commands, drawing, hostile
from tests.testapp.models import Picture

UPLOADERS = 8
READERS = 4
"""Clients that ask for similar items, one request after another."""

BOUNDARY = "----similar-images"


def request(port: int, method: str, path: str, body: bytes = b"") -> int:
    """Send a request; return the status of the answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if body else {}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def search_body(data: bytes) -> bytes:
    """Return the form of a search by an image."""
    parts = [("model", "", b"testapp.picture"), ("image", '; filename="a.jpg"', data)]
    form = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
        for name, more, value in parts
    )
    return form + f"--{BOUNDARY}--\r\n".encode()


def search(port: int, body: bytes) -> int:
    return request(port, "POST", "/api/similar-images/search/", body)


def upload_forever(port: int, bodies: list[bytes], offset: int, pause: float) -> None:
    for body in cycle(bodies[offset % len(bodies) :] + bodies[: offset % len(bodies)]):
        try:
            search(port, body)
        except OSError:
            time.sleep(0.1)
        time.sleep(pause)


@contextmanager
def attack(port: int, bodies: list[bytes], pause: float) -> Iterator[None]:
    """Have clients upload these files within the block."""
    context = multiprocessing.get_context("fork")
    clients = [
        context.Process(target=upload_forever, args=(port, bodies, number, pause), daemon=True)
        for number in range(UPLOADERS)
    ]
    for client in clients:
        client.start()
    try:
        time.sleep(2)
        yield
    finally:
        for client in clients:
            client.terminate()
            client.join()


def measure(port: int, paths: list[str], honest: bytes, seconds: float) -> tuple[float, list[float]]:
    """Return the answers with similar items per second, and the seconds that honest searches took meanwhile."""
    stop = Event()

    def read(number: int) -> int:
        count = 0
        while not stop.is_set():
            assert request(port, "GET", paths[(number + count) % len(paths)]) == 200
            count += 1
        return count

    times = []
    with ThreadPoolExecutor(READERS) as executor:
        start = time.perf_counter()
        counts = [executor.submit(read, number) for number in range(READERS)]
        while (begun := time.perf_counter()) < start + seconds:
            assert search(port, honest) == 200
            times.append(time.perf_counter() - begun)
            time.sleep(0.5)
        stop.set()
        total = sum(count.result() for count in counts)
        return total / (time.perf_counter() - start), times


@contextmanager
def live_server() -> Iterator[int]:
    """Run the demo's web server, with a thread for each request, in a process of its own; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "manage.py", "runserver", "--noreload", "--nostatic", str(port)]
    log = Path(os.environ["DEMO_DATA"], "web.log")
    with services.process(command, cwd=Path.cwd(), log=log, env={**os.environ, "DEBUG": "0", "SECRET_KEY": "x"}):
        for _ in range(600):
            try:
                request(port, "GET", "/")
                break
            except OSError:
                time.sleep(0.1)
        yield port


def describe(rate: float, times: list[float]) -> str:
    return f"{rate:.1f} answers/s; honest search: median {median(times):.2f} s, longest {max(times):.2f} s"


def measure_site(files: Mapping[str, Mapping[str, bytes]], seconds: float, pauses: list[float]) -> None:
    """Print the figures of the site without and with attacks, in turn."""
    for seed in range(100):
        Picture.objects.create(image=drawing.file(seed), title=str(seed))
    while records := claims.claim_batch():
        worker.index_records(records)
    paths = [
        f"/api/similar-images/testapp.picture/{pk}/similar/" for pk in Picture.objects.values_list("pk", flat=True)
    ]
    honest = search_body(drawing.encoded(drawing.textured(500, (3000, 2000)), "JPEG"))
    with live_server() as port:
        measure(port, paths, honest, 5)
        for label, group in files.items():
            bodies = [search_body(data) for data in group.values()]
            for pause in pauses:
                quiet, times = measure(port, paths, honest, seconds)
                print(f"without uploads: {describe(quiet, times)}", flush=True)
                with attack(port, bodies, pause):
                    busy, times = measure(port, paths, honest, seconds)
                print(f"{label}, {pause} s apart: {describe(busy, times)}; throughput {busy / quiet:.2f}", flush=True)


def measure_worker(files: Mapping[str, bytes]) -> None:
    """Print what a worker says about each file, with good ones between them, and how long it took."""
    Picture.objects.all().delete()
    for seed, data in enumerate(files.values()):
        Picture.objects.create(image=ContentFile(data, name=f"{seed}.jpg"))
        Picture.objects.create(image=drawing.file(seed))
    start = time.perf_counter()
    while records := claims.claim_batch():
        worker.index_records(records)
    count = IndexedImage.objects.filter(status="indexed").count()
    seconds = time.perf_counter() - start
    print(f"worker: {len(files)} hostile and {len(files)} good files in {seconds:.1f} s, {count} indexed")
    for error, attempts in IndexedImage.objects.filter(status="failed").values_list("error", "attempts"):
        print(f"  after {attempts} attempt: {error}")


def build(group: Mapping[str, Callable[[], bytes]]) -> dict[str, bytes]:
    return {name: make() for name, make in group.items()}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument(
        "--pause", type=float, nargs="+", default=[1.0, 0.0], help="seconds between uploads of a client"
    )
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    files = {"refused files": build(hostile.WORST_FILES), "costly files": build(hostile.COSTLY_FILES)}
    measure_site(files, options.seconds, options.pause)
    measure_worker(files["refused files"] | files["costly files"])
    decoders.get_pool().close()
