from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

import similar_images


class MagazineConfig(AppConfig):
    name = "project.magazine"
    verbose_name = _("magazine")

    def ready(self) -> None:
        from wagtail.images import get_image_model

        # Images lead to their stories; the rest is what the integration brings.
        similar_images.register(
            get_image_model(),
            "file",
            visible="project.magazine.models.visible_images",
            url="project.magazine.models.get_image_url",
        )
