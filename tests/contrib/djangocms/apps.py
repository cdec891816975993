from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "tests.contrib.djangocms"
    label = "site"
