"""The view by which the panels of integrations mark two objects as not similar, by the policy of their source."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.generic import View

from . import marks, registry
from .permissions import get_policy


class MarkPairView(View):
    """Marks an object as not similar to the one that is posted as `other`; with `undo`, takes that back."""

    http_method_names = ("post",)

    def post(self, request: HttpRequest, model: str, pk: str) -> HttpResponse:
        """Mark the pair, and return to the page `next` of this site, or to its front page."""
        try:
            source = registry.find_source(model)
        except (registry.NotRegistered, registry.AmbiguousField) as error:
            raise Http404 from error
        policy = get_policy(source)
        objects = policy.viewable(request)
        item, other = (source.get_or_none(objects, key) for key in (pk, request.POST.get("other", "")))
        if item is None or other is None or item == other:
            raise Http404
        if not policy.can_change(request, item, other):
            raise PermissionDenied
        if "undo" in request.POST:
            marks.unmark(item, other, field=source.field_name)
            messages.success(request, _("The mark was removed."))
        else:
            marks.mark(item, other, alike=False, field=source.field_name, user=request.user)
            told = _("“%(title)s” is no longer shown as similar. You can undo this in the side panel.")
            messages.success(request, told % {"title": source.get_title(other)})
        target = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
            target = "/"
        return HttpResponseRedirect(target)
