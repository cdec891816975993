"""Addresses of the REST endpoints, without those of what is off."""

from django.urls import path

from .. import access
from ..path_converters import ANY_TEXT
from . import views
from .batch import BatchView
from .explanation import ExplanationApiView
from .schema import SchemaView

app_name = "similar_images_api"

urlpatterns = [
    path("status/", views.StatusView.as_view(), name="status"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("<str:model>/similar/batch/", BatchView.as_view(), name="batch"),
    path(f"<str:model>/<{ANY_TEXT}:pk>/similar/", views.SimilarView.as_view(), name="similar"),
    path(f"<str:model>/<{ANY_TEXT}:pk>/mark/", views.MarkView.as_view(), name="mark"),
]
if not access.is_off("compare"):
    urlpatterns = [
        path("compare/", views.CompareView.as_view(), name="compare"),
        path(f"<str:model>/<{ANY_TEXT}:pk>/explanation/", ExplanationApiView.as_view(), name="explanation"),
        path(f"compare/<slug:token>/<{ANY_TEXT}:name>.png", views.CachedImageApiView.as_view(), name="picture"),
        *urlpatterns,
    ]
if not access.is_off("search_by_picture"):
    urlpatterns = [path("search/", views.SearchView.as_view(), name="search"), *urlpatterns]
