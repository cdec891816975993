"""Addresses of the REST endpoints, without those of what is off."""

from django.urls import path

from .. import access
from . import views
from .batch import BatchView
from .schema import SchemaView

app_name = "similar_images_api"

urlpatterns = [
    path("status/", views.StatusView.as_view(), name="status"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("<str:model>/similar/batch/", BatchView.as_view(), name="batch"),
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
