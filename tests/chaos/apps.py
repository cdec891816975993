from __future__ import annotations

from datetime import timedelta

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    name = "tests.chaos"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from similar_images.indexing import results

        results.MIN_RETRY_DELAY = timedelta(seconds=2)  # storms last seconds here, not hours
