"""A database user who may not create extensions: told what to have done, and then able to do everything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.databases import VARIANT

pytestmark = pytest.mark.skipif(VARIANT != "", reason="the databases are created on the server itself")

ROOT = Path(__file__).parents[2]
INDEXED = "SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indisvalid AND relname LIKE '%hnsw%'"


class Database:
    """A database of a user who owns it, and may create databases, but nothing else."""

    def __init__(self, number: str) -> None:
        self.user, self.name, self.template = (f"{name}_{number}" for name in ("host", "site", "template"))
        self.url = os.environ["DATABASE_URL"].replace("postgres@/postgres?", f"{self.user}@/{self.name}?")

    def administer(self, *statements: str, database: str = "postgres") -> None:
        url = os.environ["DATABASE_URL"].replace("/postgres?", f"/{database}?")
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def manage(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run manage.py as the user."""
        keys = '{"METHODS": {"tests.methods.Mean": {}}, "RANKING": {"mean": 1}, "HNSW_MIN_ROWS": 2}'
        env = {"DATABASE_URL": self.url, "DJANGO_SETTINGS_MODULE": "tests.settings", "TEST_SIMILAR_IMAGES": keys}
        command = [sys.executable, "-W", "ignore", "-m", "django", *arguments]
        env = {**os.environ, **env, **variables}
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(os.environ.get("PYTEST_XDIST_WORKER", "gw0"))
    database.administer(
        f"CREATE ROLE {database.user} LOGIN NOSUPERUSER CREATEDB",
        f"CREATE DATABASE {database.name} OWNER {database.user}",
    )
    yield database
    database.administer(
        f"ALTER DATABASE {database.template} IS_TEMPLATE false" if has(database.template) else "SELECT 1",
        *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in (database.name, database.template)),
        f"DROP DATABASE IF EXISTS test_{database.name} WITH (FORCE)",
        f"DROP ROLE {database.user}",
    )


def has(name: str) -> bool:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def test_migrate__says_what_an_administrator_has_to_run(database: Database) -> None:
    failed = database.manage("migrate", "--verbosity=0")
    assert failed.returncode == 1
    assert "CREATE EXTENSION vector;" in failed.stderr
    assert f"could not be enabled in the database '{database.name}': permission denied" in failed.stderr
    assert "Traceback" not in failed.stderr


SCRIPT = """
from similar_images.indexing import hnsw
from similar_images.models import IndexedImage
from tests.items import save_gray
from django.core.management import call_command
for level in range(3):
    save_gray(level)
call_command("index_images", sync=True, verbosity=0)
assert IndexedImage.objects.filter(status="indexed").count() == 3
assert list(hnsw.existing_indexes().values()) == [True]
"""


def test_user__migrates_indexes_and_builds_where_the_extension_is(database: Database, tmp_path: Path) -> None:
    database.administer("CREATE EXTENSION vector", database=database.name)
    migrated = database.manage("migrate", "--run-syncdb", "--verbosity=0")
    assert (migrated.returncode, migrated.stderr) == (0, "")
    checked = database.manage("check", "--database=default")
    assert checked.returncode == 0, checked.stderr
    done = database.manage("shell", "--verbosity=0", "-c", SCRIPT, DEMO_DATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    with psycopg.connect(database.url) as connection:
        assert connection.execute(INDEXED).fetchone() == (1,)
        assert connection.execute("SELECT current_setting('is_superuser')").fetchone() == ("off",)
    undone = database.manage("migrate", "similar_images", "zero", "--verbosity=0")
    assert undone.returncode == 0, undone.stderr


def test_host_suite__runs_on_copies_of_a_template_with_the_extension(database: Database, tmp_path: Path) -> None:
    test: Any = ("test", "tests.deployment", "--pattern=host_suite.py")
    failed = database.manage(*test, DEMO_DATA=str(tmp_path))
    assert failed.returncode == 1
    assert 'DATABASES[\'default\']["TEST"]["TEMPLATE"]' in failed.stderr
    database.administer(f"CREATE DATABASE {database.template} IS_TEMPLATE true")
    database.administer("CREATE EXTENSION vector", database=database.template)
    passed = database.manage(*test, "--noinput", DEMO_DATA=str(tmp_path), TEST_TEMPLATE=database.template)
    assert passed.returncode == 0, passed.stderr
    assert "Ran 1 test" in passed.stderr
