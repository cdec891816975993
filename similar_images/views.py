"""The pages: similar items of an object, search by a picture, and two pictures compared."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.views import View

from . import comparison_results, registry
from . import status as overview
from .comparison import Incomparable
from .forms import CompareForm, OptionsForm, SearchForm, TextForm
from .imaging.decode import UnreadableImage
from .imaging.timeouts import SearchTimeout
from .models import IndexedImage
from .search import matches as matches_module
from .search import ranking


class SimilarView(View):
    """The page of the objects that look like one object."""

    template_name = "similar_images/similar.html"

    def get(self, request: HttpRequest, model: str, pk: str) -> HttpResponse:
        form = OptionsForm(request.GET)
        form.is_valid()
        try:
            source = registry.get_source(model, form.options()["field"])
        except registry.NotRegistered as error:
            raise Http404 from error
        item = source.get_visible(request, pk)
        if item is None:
            raise Http404
        like, unlike = form.examples(source, request)
        matches: list[matches_module.Match] = []
        status = 200 if form.is_valid() else 400
        try:
            matches = matches_module.similar_to([item, *like], unlike=unlike, request=request, **form.options())
        except (UnreadableImage, SearchTimeout) as error:
            status = _told(form, "box", error)
        context = {
            "object": item,
            "image": getattr(item, source.field_name),
            "key": source.format_key(item),
            "form": form,
            "status": overview.record_status(source, item.pk),
            "Status": IndexedImage.Status,
            "matches": matches,
        }
        return render(request, self.template_name, context, status=status)


class SearchView(View):
    """Search by a picture that a visitor chooses, drops or pastes, of which nothing is kept; or by text where a
    method understands it."""

    template_name = "similar_images/search.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        context: dict[str, Any] = {"form": SearchForm(), "text_form": _text_form()}
        if "text" not in request.GET or not context["text_form"]:
            return render(request, self.template_name, context)
        form = context["text_form"] = _text_form(request.GET)
        status = 200 if form.is_valid() else 400
        if form.is_valid():
            try:
                context["matches"] = matches_module.similar_to(request=request, **form.options())
            except SearchTimeout as error:
                status = _told(form, "text", error)
        return render(request, self.template_name, context, status=status)

    def post(self, request: HttpRequest) -> HttpResponse:
        form = SearchForm(request.POST, request.FILES)
        context: dict[str, Any] = {"form": form, "text_form": _text_form()}
        like, unlike = form.examples(form.source, request) if form.is_valid() else ([], [])
        status = 200 if form.is_valid() else 400
        if form.is_valid():
            query = [form.cleaned_data["image"], *like]
            try:
                context["matches"] = matches_module.similar_to(query, unlike=unlike, request=request, **form.options())
            except (UnreadableImage, SearchTimeout) as error:
                status = _told(form, "image", error)
        return render(request, self.template_name, context, status=status)


class CompareView(View):
    """Two pictures compared, each one that a visitor chooses, drops or pastes, or that of an object; a link to it
    names two objects."""

    template_name = "similar_images/compare.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        if not request.GET.get("a") and not request.GET.get("b"):
            return render(request, self.template_name, {"form": CompareForm(request=request)})
        return self._compared(request, CompareForm(request.GET, MultiValueDict(), request=request))

    def post(self, request: HttpRequest) -> HttpResponse:
        data = request.POST.copy()
        for name in request.FILES:
            data.pop(name, None)  # a file that is chosen takes the place of the object that was shown
        return self._compared(request, CompareForm(data, request.FILES, request=request))

    def _compared(self, request: HttpRequest, form: CompareForm) -> HttpResponse:
        context: dict[str, Any] = {"form": form}
        status = 200 if form.is_valid() else 400
        if form.is_valid():
            data = form.cleaned_data
            try:
                context["result"] = comparison_results.run_comparison(data["a"], data["b"], data["measures"], _address)
            except Incomparable as error:
                form.add_error(error.which, error.reason)
                status = 400
            except SearchTimeout as error:
                status = _told(form, None, error)
        return render(request, self.template_name, context, status=status)


class PictureView(View):
    """A picture that explains a comparison, to whoever knows its address, for as long as it is kept."""

    def get(self, request: HttpRequest, token: str, name: str) -> HttpResponse:
        file = comparison_results.cached_image(token, name)
        if file is None:
            raise Http404
        headers = {"Cache-Control": "private", "X-Content-Type-Options": "nosniff"}
        return HttpResponse(file, content_type="image/png", headers=headers)


def _told(form: forms.Form, field: str | None, error: Exception) -> int:
    """Tell what kept a search from its end, on a field of the form; return the status to answer with."""
    form.add_error(field, str(error))
    return 503 if isinstance(error, SearchTimeout) else 400


def _address(token: str, name: str) -> str:
    return reverse("similar_images:picture", args=[token, name])


def _text_form(data: Any = None) -> Any:
    """The form to search by text; none where no method understands it."""
    return TextForm(data, auto_id="text_%s") if ranking.text_methods() else None
