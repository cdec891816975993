"""The search backend: its class and options, and versions that are searched by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from .. import conf, plugins
from .tables import has_tables


def check_search_backend(**kwargs: Any) -> list[CheckMessage]:
    """Check that the search backend of the setting can be made, and that its packages are installed."""
    if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
        return []  # reported by check_setting()
    try:
        backend = plugins.search_backend()
        problems = backend.check() if backend else []
    except ImproperlyConfigured as error:
        problems = [str(error)]
    return [
        Error(
            f"SIMILAR_IMAGES['SEARCH_BACKEND']: {problem}",
            hint="Until it can be used, searches go to PostgreSQL. “manage.py search_backend --check” asks the server.",
            id="similar_images.E013",
        )
        for problem in problems
    ]


def check_served_versions(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report that searches were switched to a search backend that the setting does not name."""
    from ..models import MethodVersion

    if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})) or conf.get().search_backend is not None:
        return []
    if not has_tables(databases) or not MethodVersion.primary.filter(is_in_backend=True).exists():
        return []
    return [
        checks.Warning(
            "Searches were switched to a search backend, but the setting names none: they go to PostgreSQL.",
            hint="Set SIMILAR_IMAGES['SEARCH_BACKEND'], or run “manage.py search_backend --back”.",
            id="similar_images.W012",
        )
    ]
