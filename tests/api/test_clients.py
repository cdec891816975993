"""Clients that are generated from the OpenAPI document compile, and work against a live server."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from similar_images.api.schema import generate_document
from tests import drawing
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = Path(__file__).parent / "typescript"
"""A client in TypeScript; what is generated, and what npm installs, is put beside a copy of it."""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(generate_document()))
    return path


@pytest.fixture
def pictures(make_picture: Any, index_now: Any, settings: Any, tmp_path: Path) -> list[Picture]:
    backend = (
        "django.core.cache.backends.filebased.FileBasedCache"  # shared by processes, as uploads that are kept need
    )
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": str(tmp_path / "cache")}}
    items = [make_picture(seed) for seed in (1, 1, 2)]
    index_now()
    return items


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(drawing.encoded(drawing.scene(1)))
    return path


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_python_client__is_generated_and_works(
    document: Path, pictures: list[Picture], picture_file: Path, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = document.parent
    run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--path", document, "--meta", "none"),
        *("--output-path", "python_client"),
        cwd=folder,
    )
    monkeypatch.syspath_prepend(folder)
    client_module, models, types = (
        importlib.import_module(f"python_client.{name}") for name in ("client", "models", "types")
    )
    call = {
        name: importlib.import_module(f"python_client.api.similar_images.{name}")
        for name in ("similar_items", "search_by_image", "index_status", "mark_items", "compare_images")
    }
    with client_module.Client(base_url=live_server.url) as client:
        answer = call["similar_items"].sync("testapp.picture", str(pictures[0].pk), client=client, limit=1)
        assert [row.pk for row in answer.results] == [str(pictures[1].pk)]
        assert (answer.results[0].similarity, answer.complete) == (100, True)
        assert answer.query.indexed_at.tzinfo is not None
        missing = call["similar_items"].sync("testapp.picture", "999999", client=client)
        assert isinstance(missing, models.Problem)
        assert (missing.status, missing.detail) == (404, "No item with this ID.")
        with picture_file.open("rb") as file:
            image = types.File(payload=file, file_name="a.png")
            body = models.Search(image=image, model="testapp.picture", limit=2, keep=True)
            found = call["search_by_image"].sync(client=client, body=body)
        assert [row.similarity for row in found.results] == [100, 100]
        body = models.Search(image=found.query.upload, model="testapp.picture", limit=1)
        assert [row.similarity for row in call["search_by_image"].sync(client=client, body=body).results] == [100]
        refused = call["mark_items"].sync(
            "testapp.picture", str(pictures[0].pk), client=client, body=models.Mark(other="1", alike=True)
        )
        assert refused.status == 403
        assert call["index_status"].sync(client=client).methods[0].name == "embedding"


def test_typescript_client__is_generated_compiles_and_works(
    document: Path, pictures: list[Picture], picture_file: Path, live_server: Any
) -> None:
    npm = shutil.which("npm")
    if npm is None:
        assert not os.environ.get("REQUIRE_BROWSER"), "REQUIRE_BROWSER is set, but there is no npm."
        pytest.skip("NO CLIENT IN TYPESCRIPT: there is no npm (apt-get install npm)")
    folder = document.parent
    for path in FOLDER.iterdir():
        shutil.copy(path, folder)
    run(npm, "install", "--silent", "--no-audit", "--no-fund", cwd=folder)
    run(npm, "run", "--silent", "generate", cwd=folder)
    run(npm, "run", "--silent", "compile", cwd=folder)
    answer = run(
        *("node", "smoke.js"), cwd=folder, SERVER=live_server.url, PK=str(pictures[0].pk), FILE=str(picture_file)
    )
    assert json.loads(answer) == {
        "similar": [str(pictures[1].pk)],
        "complete": True,
        "missing": [404, "No item with this ID."],
        "unknown": {"limt": ["Unknown parameter “limt”. Did you mean “limit”?"]},
        "search": [100, 100],
        "again": [100],
    }
