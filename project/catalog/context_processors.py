from typing import Any

from django.http import HttpRequest

from project.catalog.models import Category, Product


def shop(request: HttpRequest) -> dict[str, Any]:
    """Add the categories that have published products."""
    return {"categories": Category.objects.filter(pk__in=Product.objects.filter(published=True).values("category"))}
