"""The database: pgvector, tables, triggers, versions that are missing, and tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader

from .. import registry

MIN_PGVECTOR_VERSION = (0, 8)
"""The first version with iterative index scans, by which filtered searches return as many matches as exist."""


def check_tenants(**kwargs: Any) -> list[CheckMessage]:
    """Check that the app's tables are in the schema of every tenant, in projects with django-tenants."""
    if not apps.is_installed("django_tenants") or any(
        app.split(".")[0] == "similar_images" for app in getattr(settings, "TENANT_APPS", ["similar_images"])
    ):
        return []
    return [
        Error(
            "The image records of all tenants would be in one schema, where the keys of their objects are not unique.",
            hint="Add 'similar_images' to TENANT_APPS, and remove it from SHARED_APPS.",
            id="similar_images.E010",
        )
    ]


def check_database(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the database is PostgreSQL with a recent version of pgvector."""
    from ..models import Signature

    alias = router.db_for_write(Signature)
    if alias not in (databases or ()):
        return []
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return [
            Error(
                f"Signatures are stored with pgvector, but the database {alias!r} is not PostgreSQL.",
                hint="Use django.db.backends.postgresql.",
                id="similar_images.E005",
            )
        ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'vector'")
        default, installed = cursor.fetchone() or (None, None)
    version = installed or default
    if version is None:
        return [
            Error(
                "pgvector is not installed on the PostgreSQL server.",
                hint="Install it on the server (e.g. the package postgresql-NN-pgvector), then run migrate.",
                id="similar_images.E006",
            )
        ]
    if tuple(map(int, version.split(".")[:2])) < MIN_PGVECTOR_VERSION:
        return [
            Error(
                f"pgvector {version} is too old: iterative index scans require 0.8.",
                hint="Upgrade pgvector on the server, then run ALTER EXTENSION vector UPDATE.",
                id="similar_images.E007",
            )
        ]
    return []


def check_versions(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report missing HNSW indexes, and new versions of methods that are still being computed."""
    from ..indexing import hnsw, outbox, versions
    from ..models import IndexedImage

    if not has_tables(databases):
        return []
    messages: list[CheckMessage] = [
        checks.Warning(
            f"{version.source} has no HNSW index for {version.name} yet, so it is searched exactly.",
            hint="The next sweep builds it. Is celery beat running?",
            id="similar_images.W004",
        )
        for version in hnsw.required_indexes()
        if not version.has_index
    ]
    for source, version in versions.pending_switches():
        count = outbox.outdated_records(source, [version.name]).count()
        failed = IndexedImage.objects.for_source(source).filter(status=IndexedImage.Status.FAILED).count()
        messages.append(
            checks.Info(
                f"{source.label} is still searched by an earlier version of {version.name}: {count} images lack a "
                f"signature of the new version, {version.version}, and {failed} failed.",
                hint="The workers compute the missing signatures. If many images failed, their records in the admin "
                "say why; “manage.py index_images --failed” retries them.",
                id="similar_images.I001",
            )
        )
    return messages


def check_chosen_encoders(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report encoders that were chosen in place of those of the setting, above all where this host lacks them."""
    from ..indexing import versions

    if not has_tables(databases):
        return []
    messages: list[CheckMessage] = []
    for source in registry.get_sources():
        for row in versions.chosen_versions(source).values():
            if versions.instantiate(row) is None:
                messages.append(
                    checks.Warning(
                        f"{source.label}: {versions.explain_missing(row)}",
                        hint="Copy the folder SIMILAR_IMAGES['ENCODERS'] from a host that has the encoder, or go back "
                        "by “manage.py encoders use --back”.",
                        id="similar_images.W011",
                    )
                )
            else:
                messages.append(
                    checks.Info(
                        f"{source.label} is described by an encoder that a command chose for {row.name}, and by that "
                        "of the setting, too.",
                        hint="Write it into SIMILAR_IMAGES['METHODS'], or go back by “manage.py encoders use --back”.",
                        id="similar_images.I005",
                    )
                )
    return messages


def check_unregistered(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report records of sources that are no longer registered, which no search finds and no sweep deletes."""
    from ..indexing.unregistered import unregistered_sources

    if not has_tables(databases):
        return []
    return [
        checks.Warning(
            f"{row} is no longer registered, but {count} image records of it are stored.",
            hint="If its field or model was renamed, rename its row of similar_images_source, too, in a migration. "
            "Otherwise register it again, or delete the records with “manage.py index_images "
            "--prune”.",
            id="similar_images.W007",
        )
        for row in unregistered_sources()
        if (count := row.records.count())
    ]


def check_triggers(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report sources whose table lacks the triggers that write the records."""
    from ..indexing import triggers
    from ..models import write_alias

    if not has_tables(databases):
        return []
    return [
        checks.Warning(
            f"The table of {source.label} has no triggers, so changes are noticed by the sweep alone, and an image may "
            "be found by a former file until then.",
            hint="Run migrate, as a database user that owns the table. A view can have none.",
            id="similar_images.W008",
        )
        for source in triggers.missing_triggers(registry.get_sources(), write_alias())
    ]


def has_tables(databases: Sequence[str] | None) -> bool:
    """Tell whether the database of the records is among those to be checked, and has all migrations of this version.

    The command `migrate` runs the checks before it applies them.
    """
    from ..models import Source, write_alias

    alias = write_alias()
    if alias not in (databases or ()):
        return False
    loader = MigrationLoader(connections[alias])
    is_migrated = set(loader.graph.leaf_nodes(Source._meta.app_label)) <= loader.applied_migrations.keys()
    return is_migrated and Source._meta.db_table in connections[alias].introspection.table_names()
