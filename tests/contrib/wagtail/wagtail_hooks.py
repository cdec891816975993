"""The viewsets of the site."""

from wagtail import hooks
from wagtail.admin.views.generic import EditView as ModelEditView
from wagtail.admin.viewsets.model import ModelViewSet
from wagtail.snippets.models import register_snippet
from wagtail.snippets.views.snippets import EditView, SnippetViewSet

from similar_images.contrib.wagtail.editing import SimilarImagesPanelMixin

from .models import Product, Vehicle


class ProductEditView(SimilarImagesPanelMixin, EditView):
    pass


class ProductViewSet(SnippetViewSet):
    model = Product
    edit_view_class = ProductEditView
    form_fields = ("name", "photo")


class VehicleEditView(SimilarImagesPanelMixin, ModelEditView):
    pass


class VehicleViewSet(ModelViewSet):
    model = Vehicle
    edit_view_class = VehicleEditView
    form_fields = ("name", "photo")


register_snippet(ProductViewSet)


@hooks.register("register_admin_viewset")
def register_viewset() -> ModelViewSet:
    return VehicleViewSet("vehicles", url_prefix="vehicles")
