"""The pages of editors: upload with a notice, the page of an image with a panel, and marks."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

import similar_images
from similar_images import registry
from similar_images.permissions import get_policy
from similar_images.search.known_images import find_known_images

from .models import Asset


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Save an image, and tell which ones of the editor's it repeats."""
    source = registry.get_source(Asset, "file")
    policy = get_policy(source)
    if not policy.can_view(request):
        raise PermissionDenied
    file = request.FILES["file"]
    asset = Asset.objects.create(title=file.name, file=file, team=request.user.groups.first())
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
    policy = get_policy(registry.get_source(Asset, "file"))
    asset, other = (get_object_or_404(policy.viewable(request), pk=key) for key in (pk, request.POST["other"]))
    if not policy.can_change(request, asset, other):
        raise PermissionDenied
    similar_images.mark(asset, other, alike=False, user=request.user)
    return redirect("library:edit", asset.pk)


def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an image to visitors, with similar ones."""
    source = registry.get_source(Asset, "file")
    return render(request, "library/show.html", {"asset": get_object_or_404(source.visible_to(request), pk=pk)})
