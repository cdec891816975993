"""REST answers beside a bare view: `python -m benchmarks rest [--seconds N] [--pictures N]`.

Gunicorn with two workers answers in turn, at several numbers of clients: a view of the REST framework that only returns
twelve objects by their keys; `similar/` with the same twelve, from the memory of the process, as nothing is written
meanwhile; the same with `If-None-Match` (304); and `similar/` made anew for each request, as on a busy database.

Then one process answers the same requests in turn, and counts the time of its processor, which other work on the
machine hardly changes: something is written before each, so that no answer is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from statistics import median

from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import override_settings

from project import services
from similar_images.evaluation.report import MarkdownTable
from similar_images.indexing import claims, worker
from tests import commands, drawing
from tests.testapp.models import Picture

CLIENTS = (1, 8, 32)
ROUNDS = 3
WORKERS = 2
LIMIT = 12


def ask(port: int, path: str, headers: str = "") -> tuple[int, dict[str, str], bytes]:
    """Send a request on a connection of its own; return status, headers and body of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n".encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    head, _blank, body = b"".join(parts).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    answered = {name.lower(): value for name, _colon, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), answered, body


def measure(port: int, path: str, headers: str, clients: int, seconds: float) -> float:
    """Return the milliseconds an answer, which is the time divided by the number of answers.

    In the headers, `{number}` is another number in each request.
    """
    expected = 304 if "If-None-Match" in headers else 200
    start = time.perf_counter()

    def work(number: int) -> int:
        count = 0
        while time.perf_counter() < start + seconds:
            status, _headers, _body = ask(port, path, headers.replace("{number}", f"{number}-{count}-{start}"))
            assert status == expected, status
            count += 1
        return count

    with ThreadPoolExecutor(clients) as executor:
        total = sum(executor.map(work, range(clients)))
    return 1000 * (time.perf_counter() - start) / total


@contextmanager
def serve() -> Iterator[int]:
    """Run the site under gunicorn; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}"]
    settings = {"DJANGO_SETTINGS_MODULE": "benchmarks.rest_settings"}
    log = Path(os.environ["DEMO_DATA"], "web.log")
    with services.process(
        [*command, "django.core.wsgi:get_wsgi_application()"], cwd=Path.cwd(), log=log, env={**os.environ, **settings}
    ):
        for _ in range(600):
            try:
                ask(port, "/bare/?ids=0")
                break
            except OSError:
                time.sleep(0.1)
        yield port


def measure_processor(paths: Mapping[str, str], count: int) -> dict[str, float]:
    """Return the median milliseconds of processor time an answer, by name of the path; the server's are not in it."""
    times: dict[str, list[float]] = {name: [] for name in paths}
    with override_settings(ROOT_URLCONF="benchmarks.rest_site", DEBUG=False):
        handler = WSGIHandler()
        connection.settings_dict["CONN_MAX_AGE"] = None
        connection.close()  # which the next connection outlives requests by
        for _ in range(count):
            for name, path in paths.items():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_current_xact_id()")  # writes, as far as snapshots go
                start = time.process_time()
                answer_in_process(handler, path)
                times[name].append(1000 * (time.process_time() - start))
    return {name: median(values) for name, values in times.items()}


def ignore_head(status: str, headers: list[tuple[str, str]], error: object = None, /) -> Callable[[bytes], object]:
    """Take status and headers, as a web server does that sends them."""
    return len


def answer_in_process(handler: WSGIHandler, path: str) -> None:
    """Answer a request as a web server would have it done."""
    path, _mark, query = path.partition("?")
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": BytesIO()}
    environ |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "wsgi.url_scheme": "http"}
    with closing(handler(environ, ignore_head)) as response:
        assert response.status_code == 200, b"".join(response)
        b"".join(response)


def prepare(count: int) -> Picture:
    """Index so many pictures; return one to search by."""
    commands.run("migrate", run_syncdb=True, verbosity=0)
    first: Picture = Picture.objects.create(image=drawing.file(0), title="0")
    for seed in range(1, count):
        Picture.objects.create(image=drawing.file(seed), title=str(seed))
    while records := claims.claim_batch():
        worker.index_records(records)
    return first


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement, of which there are three")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--requests", type=int, default=300, help="of which the time of the processor is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what an answer made anew takes by a bare one")
    options = parser.parse_args()
    item = prepare(options.pictures)
    similar = f"/api/similar-images/testapp.picture/{item.pk}/similar/?limit={LIMIT}"
    with serve() as port:
        _status, answered, body = ask(port, similar)
        keys = [match["pk"] for match in json.loads(body)["results"]]
        assert len(keys) == LIMIT, body
        targets = {
            "bare view": (f"/bare/?ids={','.join(keys)}", ""),
            "`similar/`": (similar, ""),
            "304": (similar, f"If-None-Match: {answered['etag']}\r\n"),
            "anew": (similar, "Authorization: Bearer {number}\r\n"),
        }
        rows = []
        for clients in CLIENTS if options.seconds else ():
            times: dict[str, list[float]] = {name: [] for name in targets}
            for _ in range(ROUNDS):
                for name, (path, headers) in targets.items():
                    times[name].append(measure(port, path, headers, clients, options.seconds))
            bare, *others = (min(values) for values in times.values())
            figures = [bare, *others, *(ms / bare for ms in others)]
            rows.append([str(clients), *(f"{figure:.2f}" for figure in figures)])
    names = list(targets)
    columns = ["Clients", *(f"{name}, ms" for name in names), *(f"{name} / bare" for name in names[1:])]
    print(MarkdownTable("Time an answer", columns, rows))
    paths = {name: path for name, (path, headers) in targets.items() if not headers}
    bare, anew = measure_processor(paths, options.requests).values()
    columns = ["Requests", "bare view, ms", "anew, ms", "anew / bare"]
    row = [str(options.requests), f"{bare:.2f}", f"{anew:.2f}", f"{anew / bare:.2f}"]
    print(MarkdownTable("Time of the processor an answer", columns, [row]))
    if options.json:
        options.json.write_text(json.dumps({"rest": {"ratio": round(anew / bare, 2)}}))
