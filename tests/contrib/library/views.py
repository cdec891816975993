"""The pages of editors: upload with a notice, the page of an image with a panel, and marks."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

import similar_images
from similar_images import registry
from similar_images.permissions import get_policy
from similar_images.search.known_images import find_known_images

from .models import Asset


class UploadForm(ModelForm):
    """A new image; its file decides on the title."""

    class Meta:
        """The field."""

        model = Asset
        fields = ("file",)


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Save an image, and tell which ones of the editor's it repeats."""
    source = registry.get_source(Asset, "file")
    policy = get_policy(source)
    if not policy.can_view(request):
        raise PermissionDenied
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return render(request, "library/upload.html", {"form": form}, status=400)
    asset = form.save(commit=False)
    asset.title, asset.team = asset.file.name[:200], request.user.groups.first()
    asset.save()
    for known in find_known_images(source, asset.file, policy.viewable(request), [asset.pk], timeout=2)[:3]:
        messages.warning(request, f"“{asset}” looks like “{known.object}”, which you already have.")
    return redirect("library:edit", asset.pk)


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an image, and those that look like it."""
    asset = get_object_or_404(get_policy(registry.get_source(Asset, "file")).viewable(request), pk=pk)
    matches = similar_images.similar_to(asset, request=request, for_editors=True, limit=12)
    return render(request, "library/edit.html", {"asset": asset, "matches": matches})


@require_POST
def mark(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that two images are not similar, for visitors, too."""
    source = registry.get_source(Asset, "file")
    policy = get_policy(source)
    keys = (str(pk), request.POST.get("other", ""))
    asset, other = (source.get_or_none(policy.viewable(request), key) for key in keys)
    if asset is None or other is None or asset == other:
        raise Http404
    if not policy.can_change(request, asset, other):
        raise PermissionDenied
    similar_images.mark(asset, other, alike=False, user=request.user)
    return redirect("library:edit", asset.pk)


def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an image to visitors, with similar ones."""
    source = registry.get_source(Asset, "file")
    return render(request, "library/show.html", {"asset": get_object_or_404(source.visible_to(request), pk=pk)})


def find_nothing(request: HttpRequest, address: str) -> HttpResponse:
    """Answer all other addresses, as a CMS does."""
    raise Http404
