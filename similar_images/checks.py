"""System checks: what is wrong with the configuration, and what to type."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from . import conf, plugins, ranking_presets, registry
from .indexing import notify

SWEEP = "similar_images.tasks.sweep"
MINIMUM_PGVECTOR = (0, 8)
KEYS_HINT = "The keys and their defaults are in similar_images/conf.py and docs/reference/settings.md."


def register_checks() -> None:
    """Register the checks with Django."""
    checks.register(check_setting)
    checks.register(check_sources)
    checks.register(check_celery)
    checks.register(check_database, Tags.database)
    checks.register(check_versions, Tags.database)
    checks.register(check_measures)
    checks.register(check_visible, Tags.security, deploy=True)
    checks.register(check_cache, Tags.caches, deploy=True)


def check_setting(**kwargs: Any) -> list[CheckMessage]:
    problems = conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {}))
    if problems:
        return [Error(problem, hint=KEYS_HINT, id="similar_images.E001") for problem in problems]
    messages: list[CheckMessage] = []
    if (alias := conf.get().compare_cache) not in settings.CACHES:
        problem = f"SIMILAR_IMAGES['COMPARE_CACHE'] is {alias!r}, which is no cache of the setting CACHES."
        messages.append(Error(problem, hint=f"There are: {', '.join(settings.CACHES)}.", id="similar_images.E001"))
    try:
        registry.resolve_model_entries(conf.get().models)
    except ImproperlyConfigured as error:
        hint = 'Write "app_label.Model.field", e.g. "catalog.Product.photo".'
        messages.append(Error(str(error), hint=hint, id="similar_images.E002"))
    try:
        methods = plugins.enabled_methods()
    except ImproperlyConfigured as error:
        return [*messages, Error(str(error), hint=KEYS_HINT, id="similar_images.E003")]
    for key, method in zip(conf.get().methods, methods.values(), strict=True):
        for problem in method.check():
            messages.append(
                Error(f"SIMILAR_IMAGES['METHODS'][{key!r}]: {problem}", hint=KEYS_HINT, id="similar_images.E003")
            )
    return [*messages, *_ranking(conf.get().ranking, methods)]


def _ranking(ranking: Mapping[str, float] | str, methods: Collection[str]) -> list[CheckMessage]:
    """What a ranking weighs that is not there: an error, unless a profile has other methods that are."""
    if isinstance(ranking, str):
        if not (missing := ranking_presets.missing_methods(ranking, methods)):
            return []
        problem = f"The profile {ranking!r} of SIMILAR_IMAGES['RANKING'] weighs what is not among the methods: "
        problem += ", ".join(missing) + "."
        if len(missing) == len(ranking_presets.RANKING_PRESETS[ranking]):
            return [Error(problem, hint="Add one to SIMILAR_IMAGES['METHODS'].", id="similar_images.E004")]
        hint = "It goes by the others alone. Add these to SIMILAR_IMAGES['METHODS'], and run index_images."
        return [checks.Warning(problem, hint=hint, id="similar_images.W006")]
    return [
        Error(
            f"SIMILAR_IMAGES['RANKING'] weighs {name!r}, which is not among the methods.",
            hint=f"Add it to SIMILAR_IMAGES['METHODS'], or weigh only {', '.join(methods)}.",
            id="similar_images.E004",
        )
        for name in sorted(ranking.keys() - set(methods))
    ]


def check_sources(**kwargs: Any) -> list[CheckMessage]:
    from .models import IndexedImage

    alias = router.db_for_write(IndexedImage)
    return [
        Error(
            f"{source.label} is in the database {other!r}, but the image records are in {alias!r}.",
            hint="Records are written in the transaction that saves the object, and joined to it: let your database "
            "router put both in the same database.",
            id="similar_images.E008",
        )
        for source in registry.get_sources()
        if (other := router.db_for_write(source.model)) != alias
    ]


def check_celery(**kwargs: Any) -> list[CheckMessage]:
    app = notify.get_celery_app()
    if app.main == "default" and not app.conf.broker_url:
        return [
            checks.Warning(
                "No Celery app is set up, so nothing is indexed when a picture is saved.",
                hint="Make one in celery.py and import it in __init__.py of your project, as “First steps with Django” "
                "in Celery's docs shows. Without a worker, run “manage.py index_images --sync” from time to time.",
                id="similar_images.W001",
            )
        ]
    scheduled = {entry.get("task") for entry in (app.conf.beat_schedule or {}).values()}
    if SWEEP not in scheduled and "DatabaseScheduler" not in str(app.conf.beat_scheduler):
        return [
            checks.Warning(
                "The periodic sweep is not scheduled, so pictures that escape the signals are not indexed, and "
                "failed storages not tried again.",
                hint=f'Add {{"similar-images": {{"task": "{SWEEP}", "schedule": 60}}}} to CELERY_BEAT_SCHEDULE '
                "and run celery beat.",
                id="similar_images.W002",
            )
        ]
    return []


def check_database(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    from .models import Signature

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
                "The PostgreSQL server has no pgvector.",
                hint="Install it on the server (e.g. the package postgresql-NN-pgvector), then run migrate.",
                id="similar_images.E006",
            )
        ]
    if tuple(map(int, version.split(".")[:2])) < MINIMUM_PGVECTOR:
        return [
            Error(
                f"pgvector {version} is too old; scans that go on behind a filter came with 0.8.",
                hint="Upgrade pgvector on the server, then run ALTER EXTENSION vector UPDATE.",
                id="similar_images.E007",
            )
        ]
    return []


def check_versions(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    from .indexing import hnsw, outbox, versions
    from .models import IndexedImage, MethodVersion

    alias = router.db_for_write(MethodVersion)
    if (
        alias not in (databases or ())
        or MethodVersion._meta.db_table not in connections[alias].introspection.table_names()
    ):
        return []
    messages: list[CheckMessage] = [
        checks.Warning(
            f"{version.source} is searched exactly by {version.name}: it has no index yet.",
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
                f"{source.label} is still searched by a former version of {version.name}; {count} pictures lack the "
                f"new one, {version.version}, and {failed} failed.",
                hint="The workers fill it in. Where many failed, the records in the admin say why; "
                "“manage.py index_images --failed” has them tried again.",
                id="similar_images.I001",
            )
        )
    return messages


def check_measures(**kwargs: Any) -> list[CheckMessage]:
    try:
        known = plugins.available_measures()
    except ImproperlyConfigured as error:
        if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
            return []  # told already
        return [Error(str(error), hint=KEYS_HINT, id="similar_images.E009")]
    messages: list[CheckMessage] = [
        Error(
            f"SIMILAR_IMAGES['COMPARE_MEASURES'] names {name!r}, which is no measure.",
            hint=f"There are: {', '.join(known)}.",
            id="similar_images.E009",
        )
        for name in conf.get().compare_measures
        if name not in known
    ]
    lacking = {name: problem for name, measure in known.items() for problem in measure.check()}
    if lacking:
        messages.append(
            checks.Info(
                f"Two pictures can't be compared by {', '.join(lacking)}.",
                hint=" ".join(f"{problem.rstrip('.')}." for problem in dict.fromkeys(lacking.values())),
                id="similar_images.I002",
            )
        )
    return messages


def check_visible(**kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Warning(
            f"Every object of {source.label} may be seen by every visitor.",
            hint=f'Say who may see what: similar_images.register({source.model.__name__}, "{source.field_name}", '
            "visible=lambda request: …).",
            id="similar_images.W003",
        )
        for source in registry.get_sources()
        if source.visible is None
    ]


def check_cache(**kwargs: Any) -> list[CheckMessage]:
    try:
        alias = conf.get().compare_cache
        is_shared = not isinstance(caches[alias], (DummyCache, LocMemCache))
    except ImproperlyConfigured:  # check_setting() and Django say what is wrong
        return []
    if is_shared:
        return []
    return [
        checks.Warning(
            f"The cache {alias!r} is not shared by processes, so pictures that explain a comparison may get lost.",
            hint="Set CACHES to one that is (Redis, Memcached, a database table or a folder), or name such a one in "
            "SIMILAR_IMAGES['COMPARE_CACHE'].",
            id="similar_images.W005",
        )
    ]
