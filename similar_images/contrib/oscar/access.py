"""Access to Oscar's products: of visitors by what is public, of editors by the permissions of the dashboard."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from oscar.core.loading import get_class, get_model
from oscar.views.decorators import check_permissions

from ...permissions import EditorPolicy


def get_product_title(product: Any) -> str:
    """Return the title of a product; of a variant without one, that of its parent."""
    return str(product.get_title())


def get_family_head(product: Any) -> Any:
    """Return the parent of a variant; of any other product, the product itself."""
    return product.parent if product.parent_id else product


def visible_products(request: HttpRequest) -> models.QuerySet[Any]:
    """Return the products that every visitor may see: public ones, and public variants of public parents."""
    public: models.QuerySet[Any] = get_model("catalogue", "Product").objects.public()
    return public.filter(Q(parent=None) | Q(parent__in=public.values("pk")))


def dashboard_products(request: HttpRequest | None) -> models.QuerySet[Any]:
    """Return the products that the dashboard lists for a user: all for staff, for partners those that they stock."""
    objects: models.QuerySet[Any] = get_model("catalogue", "Product").objects.all()
    if request is None or not _may_open(request, "catalogue-product-list"):
        return objects.none()
    dashboard_filter = get_class("dashboard.catalogue.mixins", "PartnerProductFilterMixin")()
    dashboard_filter.request = request
    products: models.QuerySet[Any] = dashboard_filter.filter_queryset(objects)
    return products


class ProductPolicy(EditorPolicy):
    """Editors are those who may open the products in Oscar's dashboard, partners among them."""

    def viewable(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """Return the images of the products that the dashboard lists for the user."""
        products = dashboard_products(request).order_by()  # which DISTINCT would select, too
        return self.source.objects.filter(product__in=products.values("pk"))

    def can_view(self, request: HttpRequest | None) -> bool:
        """Check that the user may open the list of products."""
        return request is not None and _may_open(request, "catalogue-product-list")

    def can_change(self, request: HttpRequest | None, *items: models.Model) -> bool:
        """Check that the user may change the products of all of these images, or some at all."""
        if request is None or not _may_open(request, "catalogue-product"):
            return False
        viewable = self.viewable(request)
        return all(self.source.contains(viewable, item) for item in items)


def _may_open(request: HttpRequest, url_name: str) -> bool:
    """Check that the user may open a page of products in the dashboard, by the permissions that its app asks for."""
    dashboard: Any = apps.get_app_config("catalogue_dashboard")
    user = getattr(request, "user", None) or AnonymousUser()
    return bool(check_permissions(user, dashboard.get_permissions(url_name)))
