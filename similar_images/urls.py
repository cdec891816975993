"""Addresses of the pages."""

from django.urls import path

from . import views

app_name = "similar_images"

urlpatterns = [
    path("search/", views.SearchPage.as_view(), name="search"),
    path("compare/", views.ComparePage.as_view(), name="compare"),
    path("compare/<slug:token>/<path:name>.png", views.CachedImageView.as_view(), name="picture"),
    path("<str:model>/<path:pk>/", views.SimilarPage.as_view(), name="similar"),
]
