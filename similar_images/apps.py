"""The configuration of the app."""

from __future__ import annotations

from contextlib import suppress

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.signals import connection_created
from django.db.models.signals import post_delete, post_migrate
from django.utils.translation import gettext_lazy as _


class SimilarImagesConfig(AppConfig):
    """Connects the sources' models to the index when Django starts."""

    name = "similar_images"
    verbose_name = _("Similar images")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register checks, tasks and signals, and the sources that the setting names."""
        from . import checks, conf, generations, marks, registry
        from . import tasks as tasks  # registers them in web processes, too, which queue them by name
        from .indexing import fixtures, notices, notify, signals

        checks.register_checks()
        notify.remember_celery_app()
        with suppress(ImproperlyConfigured):  # reported by the system checks, without which other commands still run
            registry.register_from_setting(conf.get().models)
        registry.add_listener(signals.connect)
        generations.connect_signals()
        connection_created.connect(notices.listen)
        fixtures.make_room_for_rows()
        post_delete.connect(marks.forget_user, sender=settings.AUTH_USER_MODEL)
        post_migrate.connect(signals.prepare_database, sender=self)
