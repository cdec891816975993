from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

import similar_images

if TYPE_CHECKING:
    from django.http import HttpRequest


class Category(models.Model):
    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("slug"), max_length=100, unique=True)

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("catalog:category", args=[self.slug])


class ProductQuerySet(similar_images.SimilarMixin, models.QuerySet["Product"]):
    def visible_to(self, request: HttpRequest) -> ProductQuerySet:
        return self if request.user.is_staff else self.filter(published=True)


FILTERS = ["category", "category__slug", "price__gte", "price__lte"]


@similar_images.register("photo", visible=lambda request: Product.objects.visible_to(request), filters=FILTERS)
class Product(models.Model):
    category = models.ForeignKey(
        Category, on_delete=models.PROTECT, related_name="products", verbose_name=_("category")
    )
    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("slug"), max_length=100, unique=True)
    price = models.DecimalField(_("price"), max_digits=8, decimal_places=2)
    description = models.TextField(_("description"), blank=True)
    photo = models.ImageField(_("photo"), upload_to="products/", max_length=255)
    published = models.BooleanField(_("published"), default=True)
    created = models.DateTimeField(_("created"), auto_now_add=True)
    collection = models.TextField(
        _("collection"),
        blank=True,
        editable=False,
        help_text=_("Where the demo found the photo; empty for products added by hand."),
    )

    objects = ProductQuerySet.as_manager()

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering = ("-pk",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("catalog:product", args=[self.slug])


@similar_images.register(
    "image", owner="product", visible=lambda request: Product.objects.visible_to(request), filters=FILTERS
)
class ProductImage(models.Model):
    """A further view of a product, beside its photo."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="images", verbose_name=_("product"))
    image = models.ImageField(_("image"), upload_to="products/", max_length=255)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("product image")
        verbose_name_plural = _("product images")
        ordering = ("position", "pk")

    def __str__(self) -> str:
        return f"{self.product} ({self.position + 1})"
