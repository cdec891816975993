"""Addresses of the REST endpoints, without those of what is off."""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.views import APIView

from .. import access
from . import views
from .schema import ApiSchemaGenerator

app_name = "similar_images_api"

schema = SpectacularJSONAPIView.as_view(
    permission_classes=APIView.permission_classes,
    authentication_classes=APIView.authentication_classes,
    generator_class=ApiSchemaGenerator,
    custom_settings={
        "TITLE": "Similar images",
        "VERSION": "1",
        "PREPROCESSING_HOOKS": ["similar_images.api.schema.select_own_endpoints"],
    },
)

urlpatterns = [
    path("status/", views.StatusView.as_view(), name="status"),
    path("schema/", schema, name="schema"),
    path("<str:model>/<path:pk>/similar/", views.SimilarView.as_view(), name="similar"),
    path("<str:model>/<path:pk>/mark/", views.MarkView.as_view(), name="mark"),
]
if not access.is_off("compare"):
    urlpatterns = [
        path("compare/", views.CompareView.as_view(), name="compare"),
        path("compare/<slug:token>/<path:name>.png", views.CachedImageApiView.as_view(), name="picture"),
        *urlpatterns,
    ]
if not access.is_off("search_by_picture"):
    urlpatterns = [path("search/", views.SearchView.as_view(), name="search"), *urlpatterns]
