from django.urls import include, path
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls

urlpatterns = [
    path("admin/", include(wagtailadmin_urls)),
    path("similar-images/", include("similar_images.urls")),
    path("api/similar-images/", include("similar_images.api.urls")),
    path("", include(wagtail_urls)),
]
