"""The addresses of the benchmark `rest`: those of the tests, and a view that only reads."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.testapp.models import Picture


class PictureSerializer(serializers.ModelSerializer[Picture]):
    """A picture as any project would return it."""

    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        """The fields that matches have, too."""

        model = Picture
        fields = ("id", "title", "url", "image")


class PicturesView(APIView):
    """Pictures by their keys."""

    renderer_classes = [JSONRenderer]

    def get(self, request: Request) -> Response:
        """Return the pictures whose keys are given."""
        pictures = Picture.objects.filter(pk__in=request.query_params["ids"].split(","))
        context: dict[str, Any] = {"request": request}
        return Response({"results": PictureSerializer(pictures, many=True, context=context).data})


urlpatterns = [path("bare/", PicturesView.as_view()), path("", include("project.urls"))]
