"""The pages: similar items of an object, search by an image, and two images compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.signing import BadSignature
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.datastructures import MultiValueDict
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from . import access, registry, visitor_files
from .comparison import explanations, results
from .comparison.compare import Incomparable
from .forms.comparison import CompareForm
from .forms.cursors import GrownMatches, find_grown
from .forms.search import SearchForm, SearchOptionsForm, TextForm
from .forms.uploads import find_body_problem
from .imaging.decode import UnreadableImage
from .imaging.timeouts import SearchTimeout
from .models import IndexedImage
from .search.filters import make_filter_form
from .search.matches import Matches
from .search.options import OptionError
from .search.ranking import text_methods
from .widgets.widget import find_matches, load_widget


class GuardedPage(View):
    """A page of which all or some is costly work; it tells a visitor who may not have it, or has had too much."""

    costly_action: access.Action | None = None
    """The costly work that the whole page is for; a page whose action is off does not exist."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, or say why not."""
        if self.costly_action and access.is_off(self.costly_action):
            raise Http404
        try:
            if self.costly_action:
                access.check_allowed(request, self.costly_action)
            return super().dispatch(request, *args, **kwargs)
        except access.Refused as error:
            context = {"message": str(error)}
            response = render(request, "similar_images/refused.html", context, status=error.status_code)
            if error.retry_after is not None:
                response.headers["Retry-After"] = str(error.retry_after)
            return response


class SimilarPage(GuardedPage):
    """The page of the objects that look like one object."""

    template_name = "similar_images/similar.html"

    def get(self, request: HttpRequest, model: str, pk: str) -> HttpResponse:
        """Show the objects that look like one object."""
        form = SearchOptionsForm(request.GET)
        form.is_valid()
        try:
            source, item = registry.find_object(request, model, pk, form.search_options().get("field"))
        except registry.NotRegistered as error:
            raise Http404 from error
        except registry.AmbiguousField as error:
            return self._ask_for_field(request, model, error.fields)
        if item is None:
            raise Http404
        like, unlike = form.examples(source, request, item.__class__)
        form.hide_refused(request)
        if actions := form.costly_actions:
            access.admit(request, actions)
        filters = form.filter_values(source)
        grown = GrownMatches(Matches())
        status_code = 200 if form.is_valid() else 400
        try:
            options = form.search_options() | {"unlike": unlike, "filters": filters}
            grown = find_grown(request, form, [item, *like], {**options, "request": request})
        except OptionError as error:
            status_code = _report_error(form, error.option if error.option in form.fields else None, error)
        except (UnreadableImage, SearchTimeout) as error:
            status_code = _report_error(form, "box", error)
        images = source.images_of(item, source.visible_to(request))
        context = {
            "object": item,
            "title": source.get_title(item if source.is_owner(item) else source.owner_of(item)),
            "image": getattr(images[0], source.field_name) if images else None,
            "key": source.format_key(images[0]) if images and access.is_allowed(request, "compare") else "",
            "form": form,
            "filter_form": make_filter_form(source, filters, request),
            "status": IndexedImage.objects.get_status(source, *(image.pk for image in images)),
            "Status": IndexedImage.Status,
            "explains": True,
            **grown._asdict(),
        }
        return render(request, self.template_name, context, status=status_code)

    def _ask_for_field(self, request: HttpRequest, model: str, fields: Sequence[str]) -> HttpResponse:
        """Let the visitor choose between the image fields of the model."""
        sources = [registry.find_source(model, field) for field in fields]
        choices = [
            {"url": f"?{request.GET.urlencode()}&field={source.field_name}", "title": source.field.verbose_name}
            for source in sources
        ]
        return render(request, "similar_images/choose_field.html", {"choices": choices}, status=300)


class WidgetView(View):
    """A lazy widget, for the script that puts it in its place; its address was signed by the template tag."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        """Return the widget as HTML, without a page around it."""
        try:
            widget, label, pk, options, language = load_widget(token)
            _source, item = registry.find_object(request, label, pk, options.get("field"))
        except (BadSignature, registry.NotRegistered) as error:
            raise Http404 from error
        if item is None:
            raise Http404
        with translation.override(language):
            response = HttpResponse(widget.render(item, find_matches(request, item, options)))
        response.headers["Cache-Control"] = "private, no-cache"  # what may be seen is each visitor's own
        response.headers["X-Robots-Tag"] = "noindex"
        return response


class UploadPage(GuardedPage):
    """A page that takes images; a body that is larger than they may be is refused before it is read."""

    template_name = ""
    max_uploads = 1

    @method_decorator(csrf_exempt)  # that check reads the body: it comes after the one of the size
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse a body that is too large, and one without a CSRF token."""
        if problem := find_body_problem(request.META, self.max_uploads):
            return render(request, self.template_name, {**self.empty_context(), "problem": problem}, status=413)
        response: HttpResponseBase = csrf_protect(super().dispatch)(request, *args, **kwargs)
        return response

    def empty_context(self) -> dict[str, Any]:
        """Return the context of the page with its empty form; every page with uploads has its own."""
        raise NotImplementedError


class SearchPage(UploadPage):
    """Search by an image that a visitor chooses, drops or pastes, or by text where a method understands it.

    The image is kept for ten minutes, so that the search has an address, by which its options can be changed. Without a
    cache to keep it in, it is searched by once.
    """

    template_name = "similar_images/search.html"
    costly_action = "search_by_picture"

    def empty_context(self) -> dict[str, Any]:
        """Return the forms to search by an image and by a text."""
        form = SearchForm(request=self.request)
        form.hide_refused(self.request)
        return {
            "form": form,
            "methods": form.method_weights(),
            "text_form": _text_form(),
            "can_compare": access.is_allowed(self.request, "compare"),
        }

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the forms, or the matches of a text or of an image that is kept."""
        if "image" in request.GET:
            return self._search(request, SearchForm(request.GET, request=request))
        context = self.empty_context()
        if "text" not in request.GET or not context["text_form"]:
            return render(request, self.template_name, context)
        form = context["text_form"] = _text_form(request.GET)
        status_code = 200 if form.is_valid() else 400
        if form.is_valid():
            access.admit(request, form.costly_actions)
            try:
                context |= find_grown(request, form, None, {**form.search_options(), "request": request})._asdict()
            except OptionError as error:
                status_code = _report_error(form, None, error)
            except SearchTimeout as error:
                status_code = _report_error(form, "text", error)
        return render(request, self.template_name, context, status=status_code)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Keep an upload, and redirect to its matches."""
        form = SearchForm(request.POST, request.FILES, request=request)
        if form.is_valid():
            form.upload_field.token = token = form.token or visitor_files.keep_upload(
                form.cleaned_data["image"], request
            )
            if token and visitor_files.is_reusable():
                query = request.POST.copy()
                query.pop("csrfmiddlewaretoken", None)
                query["image"] = token
                for name in [name for name in query if not any(query.getlist(name))]:
                    del query[name]
                response = HttpResponseRedirect(f"{request.path}?{query.urlencode()}")
                response.status_code = 303
                return response
        return self._search(request, form)

    def _search(self, request: HttpRequest, form: SearchForm) -> HttpResponse:
        context = self.empty_context() | {"form": form, "explains": True}
        form.hide_refused(request)
        like, unlike = form.examples(form.source, request) if form.is_valid() else ([], [])
        status_code = 200 if form.is_valid() else 400
        if form.is_valid():
            access.admit(request, form.costly_actions)
            query = [form.cleaned_data["image"], *like]
            try:
                options = form.search_options() | {"unlike": unlike, "filters": form.filter_values(form.source)}
                context |= find_grown(request, form, query, {**options, "request": request})._asdict()
            except OptionError as error:
                status_code = _report_error(form, error.option if error.option in form.fields else None, error)
            except (UnreadableImage, SearchTimeout) as error:
                status_code = _report_error(form, "image", error)
                form.upload_field.token = ""
        if form.token and context["can_compare"]:
            context["key"] = f"{results.UPLOAD_KEY}:{form.token}"
        context["methods"] = form.method_weights()
        return _as_private(render(request, self.template_name, context, status=status_code))


class UploadView(View):
    """A preview of an upload that is kept, for who may use its token."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        """Return the PNG file."""
        upload = visitor_files.load_upload(token, request)
        if upload is None:
            raise Http404
        try:
            file = results.render_preview(upload)
        except (UnreadableImage, SearchTimeout) as error:
            raise Http404 from error
        headers = {"Cache-Control": f"private, max-age={visitor_files.LIFETIME}", "X-Content-Type-Options": "nosniff"}
        return HttpResponse(file, content_type="image/png", headers=headers)


class ComparePage(UploadPage):
    """Two images compared: each one that a visitor chooses, drops or pastes, or that of an object."""

    template_name = "similar_images/compare.html"
    costly_action = "compare"
    max_uploads = 2

    def empty_context(self) -> dict[str, Any]:
        """Return the form to compare two images."""
        return {"form": CompareForm(request=self.request)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the form, or two objects compared."""
        if not request.GET.get("a") and not request.GET.get("b"):
            return render(request, self.template_name, self.empty_context())
        return self._render_comparison(request, CompareForm(request.GET, MultiValueDict(), request=request))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Show two images compared."""
        data = request.POST.copy()
        for name in request.FILES:
            data.pop(name, None)  # a file that is chosen takes the place of the object that was shown
        return self._render_comparison(request, CompareForm(data, request.FILES, request=request))

    def _render_comparison(self, request: HttpRequest, form: CompareForm) -> HttpResponse:
        context: dict[str, Any] = {"form": form}
        status_code = 200 if form.is_valid() else 400
        if form.is_valid():
            access.admit(request, ["compare"])
            form.keep_uploads()
            data = form.cleaned_data
            try:
                context["result"] = results.run_comparison(data["a"], data["b"], data["measures"], _image_url, request)
            except Incomparable as error:
                form.add_error(error.which, error.reason)
                status_code = 400
            except SearchTimeout as error:
                status_code = _report_error(form, None, error)
        return render(request, self.template_name, context, status=status_code)


class ExplanationView(GuardedPage):
    """The resemblance of two images, for the script that shows it on the card of a match."""

    costly_action = "compare"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return a sentence and both images with the parts that match as HTML, without a page around them."""
        form = CompareForm(request.GET, MultiValueDict(), request=request)
        context: dict[str, Any] = {"errors": []}
        status_code = 200
        if form.is_valid():
            access.admit(request, ["compare"])
            try:
                context["result"] = explanations.explain_images(form.cleaned_data["a"], form.cleaned_data["b"], request)
            except Incomparable as error:
                status_code = _report_error(form, error.which, error)
            except SearchTimeout as error:
                status_code = _report_error(form, None, error)
        if form.errors:
            context["errors"] = [message for messages in form.errors.values() for message in messages]
            status_code = 503 if status_code == 503 else 400
        response = render(request, "similar_images/explanation.html", context, status=status_code)
        response.headers["Cache-Control"] = "private, no-store"  # what may be seen is each visitor's own
        response.headers["X-Robots-Tag"] = "noindex"
        return response


class CachedImageView(GuardedPage):
    """An image that explains a comparison, for as long as it is cached.

    Shown to who knows its address and may see the objects whose images it shows.
    """

    costly_action = "compare"

    def get(self, request: HttpRequest, token: str, name: str) -> HttpResponse:
        """Return the PNG file."""
        file = results.cached_image(token, name, request)
        if file is None:
            raise Http404
        headers = {"Cache-Control": "private", "X-Content-Type-Options": "nosniff"}
        return HttpResponse(file, content_type="image/png", headers=headers)


def _report_error(form: forms.Form, field: str | None, error: Exception) -> int:
    """Add what kept a search from its end to a field of the form; return the status code to answer with."""
    form.add_error(field, str(error))
    return 503 if isinstance(error, SearchTimeout) else 400


def _as_private(response: HttpResponse) -> HttpResponse:
    """Keep the address of a page, which holds the token of an upload, from caches, other sites and search engines."""
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _image_url(token: str, name: str) -> str:
    return reverse("similar_images:picture", args=[token, name])


def _text_form(data: Any = None) -> Any:
    """Return the form to search by text; None where no method understands it."""
    return TextForm(data, auto_id="text_%s") if text_methods() else None
