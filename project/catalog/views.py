from typing import Any

from django.shortcuts import get_object_or_404
from django.views.generic import DetailView, ListView, TemplateView

from project.catalog.models import Category, Product, ProductQuerySet


class ProductList(ListView):
    paginate_by = 24
    category: Category | None = None

    def get_queryset(self) -> ProductQuerySet:
        products = Product.objects.visible_to(self.request).select_related("category")
        if slug := self.kwargs.get("slug"):
            self.category = get_object_or_404(Category, slug=slug)
            products = products.filter(category=self.category)
        return products

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs, category=self.category)
        page = context["page_obj"]
        return context | {"pages": page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)}


class ProductDetail(DetailView):
    def get_queryset(self) -> ProductQuerySet:
        return Product.objects.visible_to(self.request).select_related("category").prefetch_related("images")


class Developers(TemplateView):
    """Examples of the REST API, on a product of the shop."""

    template_name = "catalog/developers.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        products = Product.objects.filter(published=True)[:2]
        product = products[0] if products else None
        site = self.request.build_absolute_uri("/").rstrip("/")
        return super().get_context_data(**kwargs, product=product, keys=[each.pk for each in products], site=site)
