from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import translation

from similar_images.indexing import claims, worker
from similar_images.models import IndexedImage, Source
from tests import drawing
from tests.items import gray
from tests.methods import Mean
from tests.testapp.models import Picture


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Callable[[], Path]]:
    """Make folders that a server's own user can enter; pytest closes those of tmp_path to others."""
    with ExitStack() as stack:

        def make() -> Path:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="similar_images_")))
            folder.chmod(0o755)
            return folder

        yield make


@pytest.fixture(autouse=True)
def _media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(autouse=True)
def _fresh_source_ids() -> Iterator[None]:
    """What a test wrote is taken back after it, and so are the ids of rows that it made."""
    Source.objects.clear_cache()
    yield
    Source.objects.clear_cache()


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """The language of a test client's request stays on in its thread."""
    yield
    translation.deactivate()


@pytest.fixture
def configure(settings: Any) -> Any:
    """Set keys of SIMILAR_IMAGES."""

    def configure(**keys: Any) -> None:
        settings.SIMILAR_IMAGES = {**settings.SIMILAR_IMAGES, **keys}

    return configure


@pytest.fixture
def quick(configure: Any) -> None:
    """One quick method, which counts: the mean color."""
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    Mean.computed = 0


@pytest.fixture
def grays(quick: None, index_now: Any) -> list[Picture]:
    """Ten pictures, each the more unlike the first one the later it comes."""
    items = [gray(level) for level in range(100, 110)]
    index_now()
    return items


@pytest.fixture
def make_picture(db: None) -> Any:
    """Save a Picture with a scene drawn from a seed."""

    def make_picture(seed: int = 0, **fields: Any) -> Picture:
        return Picture.objects.create(**{"image": drawing.file(seed), "title": f"Scene {seed}", **fields})

    return make_picture


@pytest.fixture
def index_now(db: None) -> Any:
    """Do the work of a worker until nothing is due; return the records that were taken."""

    def index_now() -> list[IndexedImage]:
        taken = []
        while records := claims.claim_batch():
            worker.index_records(records)
            taken += records
        return taken

    return index_now


@pytest.fixture
def locked(transactional_db: None) -> Any:
    """Lock the records of objects in another transaction; whoever waits for them gets an error soon."""

    @contextmanager
    def locked(*items: Any) -> Iterator[None]:
        other = connections.create_connection("default")
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                ids = [str(item.pk) for item in items]
                cursor.execute("SELECT 1 FROM similar_images_indexedimage WHERE object_id = ANY(%s) FOR UPDATE", [ids])
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1s'")
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
            other.rollback()
            other.close()

    return locked


@pytest.fixture
def elsewhere(transactional_db: None) -> Iterator[Any]:
    """Call functions in another thread, which has a connection of its own; each call gives a future."""
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit
        executor.submit(connections.close_all).result()
