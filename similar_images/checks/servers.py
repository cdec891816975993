"""Servers beside the database: Celery and caches, and the proxy before the web server."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from .. import conf, generations, visitor_files
from ..indexing import notify

SWEEP_TASK = "similar_images.tasks.sweep"


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
