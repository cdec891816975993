"""Addresses of the pages, without those of what is off."""

from django.urls import path

from . import access, views
from .path_converters import ANY_TEXT

app_name = "similar_images"

urlpatterns = [
    path("widget/<str:token>/", views.WidgetView.as_view(), name="widget"),
    path(f"<str:model>/<{ANY_TEXT}:pk>/", views.SimilarPage.as_view(), name="similar"),
]
if not access.is_off("compare"):
    urlpatterns = [
        path("compare/", views.ComparePage.as_view(), name="compare"),
        path("compare/explanation/", views.ExplanationView.as_view(), name="explanation"),
        path(f"compare/<slug:token>/<{ANY_TEXT}:name>.png", views.CachedImageView.as_view(), name="picture"),
        *urlpatterns,
    ]
if not access.is_off("search_by_picture"):
    urlpatterns = [path("search/", views.SearchPage.as_view(), name="search"), *urlpatterns]
if not (access.is_off("compare") and access.is_off("search_by_picture")):
    urlpatterns = [path("uploads/<str:token>.png", views.UploadView.as_view(), name="upload"), *urlpatterns]
