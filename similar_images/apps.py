from __future__ import annotations

from contextlib import suppress

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class SimilarImagesConfig(AppConfig):
    name = "similar_images"
    verbose_name = _("Similar images")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, conf, registry
        from .indexing import notify, signals

        checks.register()
        notify.remember_celery_app()
        with suppress(ImproperlyConfigured):  # checks.py says what is wrong, and lets the other commands run
            registry.register_from_setting(conf.get().models)
        registry.add_listener(signals.connect)
        post_migrate.connect(signals.create_sources, sender=self)
