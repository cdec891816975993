"""A view of a product with a template of the shop's own."""

from oscar.apps.dashboard.catalogue import views


class ProductCreateUpdateView(views.ProductCreateUpdateView):
    template_name = "fork/product.html"
