from django.urls import path

from . import views

app_name = "similar_images"

urlpatterns = [
    path("search/", views.SearchView.as_view(), name="search"),
    path("<str:model>/<path:pk>/", views.SimilarView.as_view(), name="similar"),
]
