from django.conf import settings
from django.conf.urls.static import static as serve
from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls

urlpatterns = [
    path("admin/", include(wagtailadmin_urls)),
    path("django-admin/", admin.site.urls),
    path("similar-images/", include("similar_images.urls")),
    path("api/similar-images/", include("similar_images.api.urls")),
    path("favicon.ico", RedirectView.as_view(url=static("shop/icon.svg"))),
    *serve(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
    path("", include(wagtail_urls)),
]
