from django.urls import path

from . import views

app_name = "similar_images"

urlpatterns = [
    path("search/", views.SearchView.as_view(), name="search"),
    path("compare/", views.CompareView.as_view(), name="compare"),
    path("compare/<slug:token>/<path:name>.png", views.PictureView.as_view(), name="picture"),
    path("<str:model>/<path:pk>/", views.SimilarView.as_view(), name="similar"),
]
