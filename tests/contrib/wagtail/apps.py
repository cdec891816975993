from django.apps import AppConfig

import similar_images


class SiteConfig(AppConfig):
    name = "tests.contrib.wagtail"
    label = "site"

    def ready(self) -> None:
        policy = "similar_images.contrib.wagtail.access.ImagePolicy"
        for name in ("Product", "Vehicle"):
            similar_images.register(self.get_model(name), "photo", policy=policy)
