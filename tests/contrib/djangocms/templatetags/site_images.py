from typing import Any

from django import template

from similar_images.contrib.djangocms.access import get_image_model

register = template.Library()


@register.simple_tag
def image_with(pk: int) -> Any:
    """Return an image as the page of a site would get it."""
    return get_image_model().objects.get(pk=pk)
