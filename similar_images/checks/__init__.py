"""System checks: errors of the configuration, each with a hint how to fix it."""

from __future__ import annotations

from django.core import checks
from django.core.checks import Tags

from . import backends, privacy, servers, setting, source_fields, surfaces, tables


def register_checks() -> None:
    """Register the checks with Django."""
    checks.register(setting.check_setting)
    checks.register(source_fields.check_sources)
    checks.register(source_fields.check_source_options)
    checks.register(tables.check_tenants)
    checks.register(servers.check_celery)
    checks.register(tables.check_database, Tags.database)
    checks.register(tables.check_versions, Tags.database)
    checks.register(tables.check_chosen_encoders, Tags.database)
    checks.register(tables.check_unregistered, Tags.database)
    checks.register(tables.check_triggers, Tags.database)
    checks.register(backends.check_search_backend)
    checks.register(backends.check_served_versions, Tags.database)
    checks.register(setting.check_measures)
    checks.register(surfaces.check_presentation)
    checks.register(surfaces.check_inlines)
    checks.register(setting.check_access)
    checks.register(setting.check_verifier)
    checks.register(privacy.check_media_libraries, Tags.security)
    checks.register(source_fields.check_translated_fields, Tags.models)
    checks.register(surfaces.check_urls, Tags.urls)
    checks.register(servers.check_visitor, Tags.security, deploy=True)
    checks.register(privacy.check_visible, Tags.security, deploy=True)
    checks.register(servers.check_cache, Tags.caches, deploy=True)
    checks.register(servers.check_widget_cache, Tags.caches, deploy=True)
