from django.conf import settings
from django.conf.urls.static import static
from django.http import HttpResponse
from django.urls import include, path
from django.views.static import serve

from . import views

urlpatterns = [
    path("items/<int:pk>/", views.show_item, name="item"),
    path("sketches/<int:pk>/", views.show_sketch),
    path("list/", views.show_list),
    path("favicon.ico", lambda request: HttpResponse(status=204)),
    path("pages/<path:path>", serve, {"document_root": settings.FOLDER / "pages"}),
    path("similar-images/", include("similar_images.urls")),
    path("api/similar-images/", include("similar_images.api.urls")),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
