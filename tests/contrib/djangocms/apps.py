from celery import Celery
from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "tests.contrib.djangocms"
    label = "site"

    def ready(self) -> None:
        Celery("site", broker="memory://").set_default()
