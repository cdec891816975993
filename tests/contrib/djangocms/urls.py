from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

urlpatterns = [
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
    path("admin/", admin.site.urls),
    path("similar-images/", include("similar_images.urls")),
    path("api/similar-images/", include("similar_images.api.urls")),
    path("widget/<int:pk>/", TemplateView.as_view(template_name="site/widget.html")),
    path("", include("filer.server.urls")),
    path("", include("cms.urls")),
]
