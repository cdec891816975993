"""System checks: errors of the configuration, each with a hint how to fix it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse

from . import access, conf, generations, plugins, ranking_presets, registry, visitor_files
from .indexing import notify
from .sources.source import ImageSource, resolve_callable

SWEEP_TASK = "similar_images.tasks.sweep"
MIN_PGVECTOR_VERSION = (0, 8)
"""The first version with iterative index scans, by which filtered searches return as many matches as exist."""

ADDRESSES: tuple[tuple[str, list[str]], ...] = (
    ("similar_images:similar", ["app.model", "1"]),
    ("similar_images:widget", ["token"]),
    ("similar_images_api:status", []),
    ("similar_images_api:similar", ["app.model", "1"]),
)
"""Names of the app's views, with arguments, whose addresses must lead to them."""

MEDIA_LIBRARIES = {
    "wagtail.images.models.AbstractImage": "Add 'similar_images.contrib.wagtail' to INSTALLED_APPS: visitors then see "
    "what the privacy of collections lets them.",
    "filer.models.abstract.BaseImage": "Add 'similar_images.contrib.djangocms' to INSTALLED_APPS: visitors then see "
    "what the permissions of django-filer let them.",
    "oscar.apps.catalogue.abstract_models.AbstractProductImage": "Add 'similar_images.contrib.oscar' to "
    "INSTALLED_APPS: visitors then see the images of public products.",
}
"""Image models of content management systems, some of whose images may be private, and how they are registered."""

KEYS_HINT = "The keys, with their types and defaults, are the fields of similar_images.conf.Conf."


def register_checks() -> None:
    """Register the checks with Django."""
    checks.register(check_setting)
    checks.register(check_sources)
    checks.register(check_source_options)
    checks.register(check_tenants)
    checks.register(check_celery)
    checks.register(check_database, Tags.database)
    checks.register(check_versions, Tags.database)
    checks.register(check_unregistered, Tags.database)
    checks.register(check_triggers, Tags.database)
    checks.register(check_measures)
    checks.register(check_presentation)
    checks.register(check_inlines)
    checks.register(check_access)
    checks.register(check_media_libraries, Tags.security)
    checks.register(check_translated_fields, Tags.models)
    checks.register(check_urls, Tags.urls)
    checks.register(check_visitor, Tags.security, deploy=True)
    checks.register(check_visible, Tags.security, deploy=True)
    checks.register(check_cache, Tags.caches, deploy=True)
    checks.register(check_widget_cache, Tags.caches, deploy=True)


def check_setting(**kwargs: Any) -> list[CheckMessage]:
    """Check SIMILAR_IMAGES: its keys and values, sources, methods and ranking."""
    problems = conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {}))
    if problems:
        return [Error(problem, hint=KEYS_HINT, id="similar_images.E001") for problem in problems]
    messages: list[CheckMessage] = []
    for key in ("compare_cache", "widget_cache"):
        alias = getattr(conf.get(), key)
        if alias is not None and alias not in settings.CACHES:
            problem = f"SIMILAR_IMAGES['{key.upper()}'] is {alias!r}, which is not in the setting CACHES."
            messages.append(Error(problem, hint=f"Choices: {', '.join(settings.CACHES)}.", id="similar_images.E001"))
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
    return [*messages, *_check_ranking(conf.get().ranking, methods)]


def _check_ranking(ranking: Mapping[str, float] | str, methods: Collection[str]) -> list[CheckMessage]:
    """Report weights of methods that are not enabled: an error, unless a preset has other methods that are enabled."""
    if isinstance(ranking, str):
        if not (missing := ranking_presets.missing_methods(ranking, methods)):
            return []
        names = ", ".join(missing)
        problem = f"The preset {ranking!r} of SIMILAR_IMAGES['RANKING'] uses methods that are not enabled: {names}."
        if len(missing) == len(ranking_presets.RANKING_PRESETS[ranking]):
            hint = "Add at least one of them to SIMILAR_IMAGES['METHODS']."
            return [Error(problem, hint=hint, id="similar_images.E004")]
        hint = "Searches use its other methods alone. Add these to SIMILAR_IMAGES['METHODS'], and run index_images."
        return [checks.Warning(problem, hint=hint, id="similar_images.W006")]
    return [
        Error(
            f"SIMILAR_IMAGES['RANKING'] has a weight for {name!r}, which is not an enabled method.",
            hint=f"Add it to SIMILAR_IMAGES['METHODS'], or use only {', '.join(methods)}.",
            id="similar_images.E004",
        )
        for name in sorted(ranking.keys() - set(methods))
    ]


def check_sources(**kwargs: Any) -> list[CheckMessage]:
    """Check that the sources' models are in the database of the image records."""
    from .models import IndexedImage

    alias = router.db_for_write(IndexedImage)
    return [
        Error(
            f"{source.label} is in the database {source_alias!r}, but the image records are in {alias!r}.",
            hint="Records are written by triggers on its table, and joined to it: have your database "
            "router put both into the same database.",
            id="similar_images.E008",
        )
        for source in registry.get_sources()
        if (source_alias := router.db_for_write(source.model)) != alias
    ]


def check_source_options(**kwargs: Any) -> list[CheckMessage]:
    """Check what `register()` was told of owners, filters, and callables by dotted paths."""
    return [
        Error(
            f"{source.label}: {problem}",
            hint="Correct the call of register(), or the entry of the key MODELS.",
            id="similar_images.E011",
        )
        for source in registry.get_sources()
        for problem in _find_option_problems(source)
    ]


def _find_option_problems(source: ImageSource) -> Iterator[str]:
    from .search.filters import get_filter_names
    from .search.options import SearchOptions

    try:
        if source.serializer and not _is_serializer(resolve_callable(source.serializer)):
            yield f"serializer={source.serializer!r} is no serializer class of Django REST framework."
    except ImportError:
        pass  # reported by check_presentation()
    try:
        if source.ownership and not source.ownership.owner_models:
            yield f"owner={source.owner!r}: no model has a GenericRelation to it."
        taken = {*SearchOptions.declared(), "image", "model", "cursor", "ids"} & {*get_filter_names(source)}
        if taken:
            yield f"filters: {', '.join(sorted(taken))} is the name of an option of every search."
    except ImportError:
        pass  # as above
    except ImproperlyConfigured as error:
        yield str(error)


def _is_serializer(value: Any) -> bool:
    from rest_framework.serializers import BaseSerializer

    return isinstance(value, type) and issubclass(value, BaseSerializer)


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


def check_celery(**kwargs: Any) -> list[CheckMessage]:
    """Check that there is a Celery app, and that the periodic sweep is scheduled."""
    app = notify.get_celery_app()
    if app.main == "default" and not app.conf.broker_url:
        return [
            checks.Warning(
                "No Celery app is configured, so nothing is indexed when an image is saved.",
                hint="Create one in celery.py and import it in your project's __init__.py, as “First steps with "
                "Django” in the Celery documentation shows. Without a worker, run “manage.py index_images --sync” "
                "regularly.",
                id="similar_images.W001",
            )
        ]
    scheduled = {entry.get("task") for entry in (app.conf.beat_schedule or {}).values()}
    if SWEEP_TASK not in scheduled and "DatabaseScheduler" not in str(app.conf.beat_scheduler):
        return [
            checks.Warning(
                "The periodic sweep is not scheduled, so workers do not learn of images saved by bulk_create() "
                "or SQL, and images are not retried after a storage error.",
                hint=f'Add {{"similar-images": {{"task": "{SWEEP_TASK}", "schedule": 60}}}} to CELERY_BEAT_SCHEDULE '
                "and run celery beat.",
                id="similar_images.W002",
            )
        ]
    return []


def check_database(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the database is PostgreSQL with a recent version of pgvector."""
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
    from .indexing import hnsw, outbox, versions
    from .models import IndexedImage

    if not _has_tables(databases):
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


def check_unregistered(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report records of sources that are no longer registered, which no search finds and no sweep deletes."""
    from .indexing.unregistered import unregistered_sources

    if not _has_tables(databases):
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
    from .indexing import triggers
    from .models import write_alias

    if not _has_tables(databases):
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


def _has_tables(databases: Sequence[str] | None) -> bool:
    """Tell whether the database of the records is among those to be checked, and has been migrated."""
    from .models import ReindexRequest, write_alias

    alias = write_alias()
    return alias in (databases or ()) and (
        ReindexRequest._meta.db_table in connections[alias].introspection.table_names()
    )


def check_measures(**kwargs: Any) -> list[CheckMessage]:
    """Check the measures of the setting; the command `check` also reports those that are not installed."""
    try:
        available = plugins.available_measures()
    except ImproperlyConfigured as error:
        if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
            return []  # reported by check_setting()
        return [Error(str(error), hint=KEYS_HINT, id="similar_images.E009")]
    messages: list[CheckMessage] = [
        Error(
            f"SIMILAR_IMAGES['COMPARE_MEASURES'] names {name!r}, which is not a measure.",
            hint=f"Choices: {', '.join(available)}.",
            id="similar_images.E009",
        )
        for name in conf.get().compare_measures
        if name not in available
    ]
    unusable = {name: problem for name, problems in plugins.missing_measures().items() for problem in problems}
    if unusable and _is_check_command():
        messages.append(
            checks.Info(
                f"Optional comparison measures are not available: {', '.join(unusable)}.",
                hint=" ".join(f"{problem.rstrip('.')}." for problem in dict.fromkeys(unusable.values())),
                id="similar_images.I002",
            )
        )
    return messages


def _is_check_command() -> bool:
    """Tell whether advice is wanted: other commands run the checks, too, but have nothing to do with it."""
    return sys.argv[1:2] == ["check"]


def check_presentation(**kwargs: Any) -> list[CheckMessage]:
    """Check that the dotted paths given to `register()` lead somewhere; advise on thumbnails and links."""
    messages: list[CheckMessage] = []
    for source in registry.get_sources():
        for option in ("visible", "title", "url", "thumbnail", "serializer", "filters", "policy"):
            path = getattr(source, option)
            try:
                resolve_callable(path)
            except ImportError as error:
                problem = f"{source.label}: {option}={path!r} can't be imported: {error}"
                messages.append(Error(problem, hint="Correct the path.", id="similar_images.E012"))
    if _is_check_command():
        messages += _advise_on_presentation(registry.get_sources())
    return messages


def _advise_on_presentation(sources: Sequence[ImageSource]) -> Iterator[CheckMessage]:
    bare = [source for source in sources if source.thumbnail is None]
    if bare:
        yield checks.Info(
            f"Lists of similar items show original files, however large they are: {_name_all(bare)}.",
            hint=f"Name a thumbnailer: similar_images.register({bare[0].model.__name__}, "
            f'"{bare[0].field_name}", thumbnail="similar_images.thumbnails.easy_thumbnails"), or another that the app '
            "has for the libraries of thumbnails.",
            id="similar_images.I003",
        )
    without_links = [source for source in sources if source.url is None and _models_without_url(source)]
    if without_links:
        models = {model.__name__: None for source in without_links for model in _models_without_url(source)}
        yield checks.Info(
            f"Similar items are not links: {_name_all(without_links)}.",
            hint=f"Give {', '.join(models)} a get_absolute_url(), or register the field with url=lambda item: ….",
            id="similar_images.I004",
        )


def _models_without_url(source: ImageSource) -> list[Any]:
    """Return the models of what comes back that say no address."""
    models = source.ownership.owner_models if source.ownership else [source.model]
    return [model for model in models if not hasattr(model, "get_absolute_url")]


def _name_all(sources: Sequence[ImageSource]) -> str:
    return ", ".join(source.label for source in sources)


def check_access(**kwargs: Any) -> list[CheckMessage]:
    """Check that the callables by which the setting gives access can be imported."""
    if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
        return []  # reported by check_setting()
    rules = {action.upper(): getattr(conf.get(), action) for action in access.ACTIONS}
    rules = {key: rule for key, rule in rules.items() if rule not in conf.ACCESS_LEVELS}
    if conf.get().visitor is not None:
        rules["VISITOR"] = conf.get().visitor
    messages: list[CheckMessage] = []
    for key, rule in rules.items():
        try:
            access.load_callable(key, rule)
        except ImproperlyConfigured as error:
            hint = 'Write the dotted path of a function that takes a request, e.g. "shop.access.is_customer".'
            messages.append(Error(str(error), hint=hint, id="similar_images.E020"))
    return messages


def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """Report that the addresses of the app are taken by another view, such as the catch-all of a CMS."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    taken: dict[str, tuple[str, str]] = {}
    for name, arguments in ADDRESSES:
        try:
            address = reverse(name, args=arguments)
            match = resolve(f"/{address.removeprefix(get_script_prefix())}")
        except (NoReverseMatch, Resolver404):  # not among the project's addresses, which is its choice
            continue
        if name not in match.view_name:
            taken.setdefault(name.partition(":")[0], (address, match.view_name or match._func_path))
    return [
        Error(
            f"{address} is answered by {view}, so what similar_images has there is never shown.",
            hint=f'In ROOT_URLCONF, move the line that includes "{module}" before the one that takes every address.',
            id="similar_images.E021",
        )
        for namespace, (address, view) in taken.items()
        for module in [namespace.replace("similar_images_api", "similar_images.api") + ".urls"]
    ]


def check_visitor(**kwargs: Any) -> list[CheckMessage]:
    """Report that visitors are told apart by an address which, behind a proxy, is the proxy's."""
    if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
        return []  # reported by check_setting()
    if conf.get().visitor is not None or conf.get().costly_rates is None:
        return []
    return [
        checks.Warning(
            "Visitors who are not logged in are told apart by REMOTE_ADDR. Behind a proxy they all have its address, "
            "and share what COSTLY_RATES allows one of them.",
            hint="Behind a proxy, set SIMILAR_IMAGES['VISITOR'] to 'similar_images.access.last_forwarded_address' or a "
            "function of yours. Where no proxy is, silence this check.",
            id="similar_images.W020",
        )
    ]


def check_visible(**kwargs: Any) -> list[CheckMessage]:
    """Report sources whose objects everybody may see."""
    return [
        checks.Warning(
            f"Every visitor may see every object of {source.label}.",
            hint=f"Restrict what visitors may see: similar_images.register({source.model.__name__}, "
            f'"{source.field_name}", '
            "visible=lambda request: …).",
            id="similar_images.W003",
        )
        for source in registry.get_sources()
        if source.visible is None
    ]


def check_media_libraries(**kwargs: Any) -> list[CheckMessage]:
    """Report media libraries with private images of which every visitor may see all."""
    return [
        Error(
            f"Every visitor may see every image of {source.model._meta.label}, private ones among them.",
            hint=hint,
            id="similar_images.E022",
        )
        for source in registry.get_sources()
        if source.visible is None
        for parent in source.model.__mro__
        if (hint := MEDIA_LIBRARIES.get(f"{parent.__module__}.{parent.__qualname__}"))
    ]


def check_inlines(**kwargs: Any) -> list[CheckMessage]:
    """Check that the page of an inline with the mixin has it, too: it answers what the inline's scripts ask."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    from django.contrib.admin.sites import all_sites

    pages = [page for site in all_sites for page in site._registry.values() if not _has_upload_notice(page)]
    silent = [(page, inline) for page in pages for inline in page.inlines if _has_upload_notice(inline)]
    return [
        checks.Warning(
            f"Files that are chosen in {inline.__name__} are not looked up before they are saved.",
            hint=f"Mix SimilarImagesMixin into {type(page).__name__}, too, which has the inline.",
            obj=inline,
            id="similar_images.W010",
        )
        for page, inline in silent
        if any(registry.get_sources_for_model(inline.model))
    ]


def _has_upload_notice(admin: Any) -> bool:
    """Tell whether an admin, or an inline, has the mixin, which can't be imported before the admin is ready."""
    return hasattr(admin, "similar_images_notice_template")


def check_cache(**kwargs: Any) -> list[CheckMessage]:
    """Check that processes share the cache of comparisons."""
    try:
        alias = conf.get().compare_cache
        is_shared = visitor_files.is_shared()
    except ImproperlyConfigured:  # reported by check_setting() or by Django
        return []
    if is_shared:
        return []
    return [
        checks.Warning(
            f"Processes do not share the cache {alias!r}, so uploads and visual explanations of comparisons may "
            "get lost, and searches by an upload have no address.",
            hint="Use a shared cache (Redis, Memcached, a database table or a folder) in CACHES, or name one in "
            "SIMILAR_IMAGES['COMPARE_CACHE'].",
            id="similar_images.W005",
        )
    ]


def check_widget_cache(**kwargs: Any) -> list[CheckMessage]:
    """Check that processes share the cache of widgets."""
    try:
        cache = generations.get_widget_cache()
    except ImproperlyConfigured:  # reported by check_setting() or by Django
        return []
    if not isinstance(cache, (DummyCache, LocMemCache)):
        return []
    return [
        checks.Warning(
            f"Processes do not share the cache {conf.get().widget_cache!r}, so widgets in it may be out of date.",
            hint="Use a shared cache (Redis, Memcached, a database table or a folder) in CACHES, or name one in "
            "SIMILAR_IMAGES['WIDGET_CACHE'].",
            id="similar_images.W009",
        )
    ]


def check_translated_fields(**kwargs: Any) -> list[CheckMessage]:
    """Report fields that stand for those of several languages, as django-modeltranslation makes of one."""
    return [
        Error(
            f"{source.label} is another file in each language, of which only one would be indexed.",
            hint=f"Register the fields of the languages in its place: {', '.join(fields)}.",
            id="similar_images.E023",
        )
        for source in registry.get_sources()
        if (fields := _fields_by_language(source))
    ]


def _fields_by_language(source: ImageSource) -> list[str]:
    """Return the names of the fields that a source's field stands for, one a language."""
    fields = source.model._meta.get_fields()
    originals = {
        field.name: getattr(field, "translated_field", None) for field in fields
    }  # as modeltranslation names it
    return [name for name, original in originals.items() if getattr(original, "name", None) == source.field_name]
