from typing import Any

from django.conf import settings
from django.http import HttpRequest

from project.catalog.models import Category, Product


def shop(request: HttpRequest) -> dict[str, Any]:
    """Add the categories that have published products, and whether the photos are the user's own."""
    return {
        "categories": Category.objects.filter(pk__in=Product.objects.filter(published=True).values("category")),
        "has_own_photos": bool(settings.DEMO_IMAGES),
    }
