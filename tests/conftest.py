from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.test import TestCase
from django.utils import translation

from similar_images.indexing import claims, requests, worker
from similar_images.models import IndexedImage, Source
from tests import drawing
from tests.databases import ALIAS, VARIANT, captured_queries, connection
from tests.items import save_gray
from tests.methods import Mean
from tests.testapp.models import Picture


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Callable[[], Path]]:
    """Create folders that a server's own user can enter, which those of tmp_path are not."""
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
    """Forget the cached ids of rows, which are rolled back after every test."""
    Source.objects.clear_cache()
    yield
    Source.objects.clear_cache()


@pytest.fixture(autouse=True)
def _default_language() -> Iterator[None]:
    """Deactivate the language of a test client's request, which stays active in the thread."""
    yield
    translation.deactivate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Run Chromium, whose driver has an event loop in the thread of the tests."""
    from tests.browsers import run_chromium  # which tests without a browser do without

    with pytest.MonkeyPatch.context() as patch, run_chromium() as browser:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield browser


@pytest.fixture
def configure(settings: Any) -> Any:
    """Set keys of SIMILAR_IMAGES for the rest of the test."""

    def configure(**keys: Any) -> None:
        settings.SIMILAR_IMAGES = {**settings.SIMILAR_IMAGES, **keys}

    return configure


@pytest.fixture
def mean_method(configure: Any) -> None:
    """Configure a single method, mean color, which is quick and counts its images."""
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    Mean.computed = 0


@pytest.fixture
def gray_pictures(mean_method: None, index_now: Any) -> list[Picture]:
    """Index ten pictures, each less similar to the first one than those before it."""
    items = [save_gray(level) for level in range(100, 110)]
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
    """Do the work of a worker until nothing is due; return the records that were claimed."""

    def index_now() -> list[IndexedImage]:
        claimed = []
        requests.take_requests()
        while records := claims.claim_batch():
            worker.index_records(records)
            claimed += records
        return claimed

    return index_now


@pytest.fixture
def assign_perm(settings: Any, db: None) -> Any:
    """Return django-guardian's function that assigns a permission on an object; its tables are this transaction's."""
    if VARIANT == "alias":
        pytest.skip("SQLite makes no tables in a transaction")
    pytest.importorskip("guardian", reason="NO PERMISSIONS BY OBJECT: pip install django-guardian")
    settings.ANONYMOUS_USER_NAME = None
    settings.GUARDIAN_MONKEY_PATCH_GROUP = settings.GUARDIAN_MONKEY_PATCH_USER = False
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "guardian.backends.ObjectPermissionBackend"]
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "guardian"]
    # Where another test had it installed, Django keeps the relations that there were since.
    apps.clear_cache()
    from guardian.models import GroupObjectPermission, UserObjectPermission
    from guardian.shortcuts import assign_perm

    with connections["default"].schema_editor() as editor:
        editor.create_model(UserObjectPermission)
        editor.create_model(GroupObjectPermission)
    return assign_perm


@pytest.fixture
def django_capture_on_commit_callbacks() -> Any:
    """Capture the callbacks of the database of the records, as pytest-django does those of `default`."""
    return partial(TestCase.captureOnCommitCallbacks, using=ALIAS)


@pytest.fixture
def django_assert_num_queries() -> Any:
    """Count the queries of all databases, as pytest-django does those of `default`; savepoints are none."""

    @contextmanager
    def assert_num_queries(count: int) -> Iterator[None]:
        with captured_queries() as queries:
            yield
        assert len(queries) == count, "\n\n".join(queries)

    return assert_num_queries


@pytest.fixture
def lock_records(transactional_db: None) -> Any:
    """Lock the records of objects in another transaction; waiting for them fails after a second."""

    @contextmanager
    def lock_records(*items: Any) -> Iterator[None]:
        other = connections.create_connection(ALIAS)
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

    return lock_records


@pytest.fixture
def run_in_thread(transactional_db: None) -> Iterator[Any]:
    """Call functions in another thread, which has a connection of its own; each call gives a future."""
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit
        executor.submit(connections.close_all).result()
