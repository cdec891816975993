from typing import Any

from django.conf import settings
from django.http import HttpRequest

from project.catalog.models import Category, Product


def shop(request: HttpRequest) -> dict[str, Any]:
    return {
        "categories": Category.objects.filter(pk__in=Product.objects.filter(published=True).values("category")),
        "own_pictures": bool(settings.DEMO_IMAGES),
    }
