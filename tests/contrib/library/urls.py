"""The addresses of a site: those of the app, then those of the CMS, whose last one takes what is left."""

from django.urls import include, path

from . import views

library = [
    path("upload/", views.upload, name="upload"),
    path("<int:pk>/", views.edit, name="edit"),
    path("<int:pk>/mark/", views.mark, name="mark"),
]
urlpatterns = [
    path("similar-images/", include("similar_images.urls")),
    path("api/similar-images/", include("similar_images.api.urls")),
    path("library/", include((library, "library"))),
    path("<int:pk>/", views.show),
    path("<path:address>", views.find_nothing),
]
