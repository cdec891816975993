"""A visitor: searches by objects and by pictures, new and old ones, and writes every answer down."""

from __future__ import annotations

import json
import os
import random
import time
import traceback
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import InterfaceError, OperationalError, connection, models

import similar_images

from . import pictures
from .journal import Journal
from .models import FIELDS, Asset, Photo, key
from .recovery import wait_for_database

LIMIT = 20
REMEMBERED = 200
"""Pictures seen in the storage that are searched by again, when they may be gone."""

Matches = list[tuple[str, str, float]]
"""Field of an object, name of its file, and its distance to the query."""


class Reader:
    def __init__(self, number: int, life: int, folder: Path, port: int) -> None:
        self.stop = folder / "stop-reading"
        self.port = port
        self.journal = Journal(folder / f"reader{number}.jsonl")
        self.random = random.Random(f"{os.environ['CHAOS_SEED']} reader {number} {life}")
        self.seen: list[tuple[type[models.Model], str, int]] = []

    def run(self) -> None:
        while not self.stop.exists():
            wait_for_database()
            start = time.monotonic()
            try:
                self.search()
            except Exception as error:
                is_http = isinstance(error, (urllib.error.HTTPError, urllib.error.URLError, ConnectionError))
                self.journal.write(
                    "error",
                    start=start,
                    is_weather=False,
                    is_database=is_http or isinstance(error, (OperationalError, InterfaceError)),
                    text="".join(traceback.format_exception(error))[-6000:],
                )
                connection.close()
            time.sleep(self.random.uniform(0, 0.1))  # else the readers would take all the time

    def search(self) -> None:
        model: Any = self.random.choice([Photo, Asset])
        field = self.random.choice(FIELDS[model])
        over_rest = self.random.random() < 0.3
        start = time.monotonic()
        item = model._base_manager.exclude(**{field: ""}).order_by("?").first()
        if item is None:
            return
        if over_rest:
            name, matches = self.by_object_over_rest(model, field, item)
            query: Any = [key(model, field, item.pk), name]
        elif self.random.random() < 0.4:
            query = [key(model, field, item.pk), getattr(item, field).name]
            matches = self.in_python(model, field, item)
        else:
            self.look_at(model, field, getattr(item, field).name)
            seen = [
                number for seen_model, seen_field, number in self.seen if (seen_model, seen_field) == (model, field)
            ]
            if not seen:
                return
            query = self.random.choice([seen[-1], *seen])
            start = time.monotonic()
            matches = self.in_python(model, field, ContentFile(pictures.encode(query)))
        self.journal.write("answer", start=start, way="REST" if over_rest else "Python", query=query, matches=matches)

    def look_at(self, model: type[models.Model], field: str, name: str) -> None:
        """Remember the picture that a file shows at the moment."""
        path = Path(settings.MEDIA_ROOT) / name
        number = pictures.read(path.read_bytes())[0] if path.exists() else None
        if number is not None and number > 0:
            self.seen = [*self.seen, (model, field, number)][-REMEMBERED:]

    def in_python(self, model: Any, field: str, query: Any) -> Matches:
        matches = similar_images.similar_to(query, model=model, field=field, limit=LIMIT)
        return [
            (key(model, field, match.object.pk), getattr(match.object, field).name, match.distances["mean"])
            for match in matches
        ]

    def by_object_over_rest(self, model: Any, field: str, item: Any) -> tuple[str, Matches]:
        address = (
            f"http://127.0.0.1:{self.port}/api/similar-images/{model._meta.label_lower}/{item.pk}/similar/"
            f"?field={field}&limit={LIMIT}&distances=1"
        )
        try:
            with urllib.request.urlopen(address, timeout=30) as response:
                results = json.load(response)["results"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            results = []  # deleted meanwhile
        matches = []
        for result in results:
            pk = uuid.UUID(result["pk"]) if model is Asset else result["pk"]
            name = result["image"].partition(settings.MEDIA_URL)[2]
            matches.append((key(model, field, pk), name, result["distances"]["mean"]))
        return "", matches


def main(number: int, life: int, folder: str, port: int) -> None:
    """Be a reader until the file `stop-reading` exists."""
    Reader(number, life, Path(folder), port).run()


def serve(port: int) -> None:
    """Be the web server."""
    from django.core.servers.basehttp import get_internal_wsgi_application, run

    run("127.0.0.1", port, get_internal_wsgi_application(), threading=True)
