from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import comparison_results, conf, plugins, registry
from .imaging import decode
from .ranking_presets import RANKING_PRESETS
from .search import multi_query, plan
from .search import ranking as rankings
from .search.ranking import Ranking
from .search.rerank import copies

EXAMPLES = 10
"""The most objects that a visitor may name beside the query, as like or unlike what is looked for."""


class OptionsForm(forms.Form):
    """What a visitor may ask of a list of matches, on a page as over REST; what is left out takes its default."""

    field_order: Sequence[str] = ("mode", "limit", "min_similarity", "method", "fold")

    method = forms.CharField(required=False)
    ranking = forms.CharField(required=False, widget=forms.HiddenInput)
    field = forms.CharField(required=False, widget=forms.HiddenInput)
    mode = forms.ChoiceField(
        label=gettext_lazy("Find"),
        required=False,
        choices=[("similar", gettext_lazy("what looks like it")), ("copy", gettext_lazy("the same picture"))],
    )
    rerank = forms.CharField(required=False, widget=forms.HiddenInput)
    distances = forms.BooleanField(required=False)
    like = forms.Field(required=False, widget=forms.MultipleHiddenInput)
    unlike = forms.Field(required=False, widget=forms.MultipleHiddenInput)
    box = forms.CharField(required=False, widget=forms.HiddenInput)
    diversity = forms.FloatField(required=False, min_value=0, max_value=1, widget=forms.HiddenInput)
    fallback = forms.ChoiceField(required=False, choices=[("newest", "newest")], widget=forms.HiddenInput)
    fold = forms.ChoiceField(
        label=gettext_lazy("Near copies"),
        required=False,
        choices=[("1", gettext_lazy("as one")), ("0", gettext_lazy("each"))],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = conf.get()
        self.fields["limit"] = forms.IntegerField(
            label=gettext_lazy("How many"), required=False, min_value=1, max_value=settings.max_limit
        )
        self.fields["min_similarity"] = forms.FloatField(
            label=gettext_lazy("At least, in percent"),
            required=False,
            min_value=0,
            max_value=100,
        )
        self.fields["limit"].widget.attrs["placeholder"] = settings.limit
        is_copy = self.data.get("mode") == "copy"
        self.fields["min_similarity"].widget.attrs["placeholder"] = f"{copies.COPY_THRESHOLD:g}" if is_copy else 0
        choices: list[tuple[str, Any]] = [
            ("", gettext_lazy("everything")),
            *((name, name) for name in plugins.enabled_methods()),
        ]
        self.fields["method"].widget = forms.Select(choices=choices)
        self.fields["method"].label = gettext_lazy("By")
        self.order_fields(self.field_order)

    def clean_ranking(self) -> dict[str, float] | str | None:
        text: str = self.cleaned_data["ranking"]
        if not text or text in RANKING_PRESETS:
            return text or None
        try:
            return {name.strip(): float(weight) for name, weight in (part.split(":") for part in text.split(","))}
        except ValueError:
            message = _("Write a ranking as embedding:0.8,color:0.2, or name one: %(known)s.")
            raise forms.ValidationError(message % {"known": ", ".join(RANKING_PRESETS)}) from None

    def clean_box(self) -> decode.Box | None:
        text = self.cleaned_data["box"]
        try:
            return multi_query.clean_box(text.split(",")) if text else None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        has_more = any(data.get("like") or [])
        try:
            plan.get_reranker(
                data.get("mode") or "similar",
                data.get("rerank") or None,
                by_text="text" in self.fields,
                one_whole=not (has_more or data.get("box")),
                diversity=data.get("diversity") or 0,
            )
        except ValueError as error:
            self.add_error("rerank" if data.get("rerank") else "mode", str(error))
            data.pop("mode", None)
            data.pop("rerank", None)
        if data.get("box") and has_more:
            self.add_error("box", _("A box is a part of one picture: it takes a query that is one object or file."))
        if "method" in data:
            ranking = data.get("ranking")
            try:
                self.check_ranking(data["method"] or None, ranking)
            except ValueError as error:
                self.add_error("ranking" if ranking else "method", str(error))
                data.pop("method", None)  # neither is searched by
                data.pop("ranking", None)
        return data

    def check_ranking(self, method: str | None, ranking: Ranking | str | None) -> None:
        rankings.resolve_weights(method, ranking)

    def options(self) -> dict[str, Any]:
        """The keyword arguments for `similar_to`; fields with errors are left to their defaults."""
        data = self.cleaned_data
        return {
            "limit": data.get("limit"),
            "min_similarity": data.get("min_similarity"),
            "method": data.get("method") or None,
            "ranking": data.get("ranking"),
            "mode": data.get("mode") or "similar",
            "rerank": data.get("rerank") or None,
            "field": data.get("field") or None,
            "box": data.get("box"),
            "fold": data.get("fold") != "0",
            "diversity": data.get("diversity") or 0,
            "fallback": data.get("fallback") or None,
        }

    def examples(self, source: registry.ImageSource, request: HttpRequest) -> tuple[list[Any], list[Any]]:
        """The objects named as "like" and as "unlike"; it is an error of the form if one of them may not be seen."""
        return self._examples("like", source, request), self._examples("unlike", source, request)

    def _examples(self, name: str, source: registry.ImageSource, request: HttpRequest) -> list[Any]:
        keys = list(filter(None, self.cleaned_data.get(name) or []))
        if len(keys) > EXAMPLES:
            self.add_error(name, _("Name at most %(limit)d objects.") % {"limit": EXAMPLES})
            return []
        found = [source.get_visible(request, key) for key in keys]
        if None in found:
            self.add_error(name, _("There is no such object."))
            return []
        return found


class SimilarForm(OptionsForm):
    """What may be asked of the matches of an object over REST: also why they came about, and why others did not."""

    explain = forms.BooleanField(required=False, widget=forms.TextInput)  # unlike a checkbox, takes 0 for no
    why_not = forms.CharField(required=False)


class MarkForm(forms.Form):
    """What an editor says of an object and another one."""

    other = forms.CharField(label=gettext_lazy("The other object’s key"))
    field = forms.CharField(required=False)
    alike = forms.NullBooleanField(required=False, widget=forms.TextInput)  # takes 1 and 0, too


class AmongForm(OptionsForm):
    """What says where to search, when no object does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = {source.model._meta.label_lower: source.model for source in registry.get_sources()}
        self.fields["model"] = forms.ChoiceField(
            label=gettext_lazy("Among"),
            required=len(models) != 1,
            choices=[(label, model._meta.verbose_name_plural) for label, model in models.items()],
        )
        self.order_fields(self.field_order)

    def clean_model(self) -> str:
        label: str = self.cleaned_data["model"]
        return label or registry.get_sources()[0].model._meta.label_lower

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if "model" in data and data.get("field"):
            try:
                registry.get_source(data["model"], data["field"])
            except registry.NotRegistered:
                self.add_error("field", _("There is no image field of this name."))
        return data

    @property
    def source(self) -> registry.ImageSource:
        return registry.get_source(self.cleaned_data["model"], self.cleaned_data["field"] or None)

    def options(self) -> dict[str, Any]:
        return super().options() | {"model": self.cleaned_data["model"]}


def not_too_large(image: UploadedFile[bytes]) -> UploadedFile[bytes]:
    """The upload, if it is not too large.

    Raises:
        ValidationError: it is.
    """
    limit = conf.get().search_max_bytes
    if image.size and image.size > limit:
        message = _("The file is larger than %(limit)s; save it smaller.") % {"limit": filesizeformat(limit)}
        raise forms.ValidationError(message)
    return image


class SearchForm(AmongForm):
    """A picture to search with, and where."""

    field_order = ("image", "mode", "model", "limit", "min_similarity", "method")

    image = forms.FileField(label=gettext_lazy("Picture"), widget=forms.FileInput(attrs={"accept": "image/*"}))
    labels = forms.BooleanField(required=False, widget=forms.TextInput)  # unlike a checkbox, takes 0 for no

    def clean_image(self) -> UploadedFile[bytes]:
        return not_too_large(self.cleaned_data["image"])


class TextForm(AmongForm):
    """A text to search with, and where."""

    field_order = ("text", "model", "limit", "min_similarity", "method")

    text = forms.CharField(label=gettext_lazy("What it shows"), max_length=plan.TEXT_LENGTH)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["box"]
        methods = rankings.text_methods()
        self.fields["method"].widget = forms.Select(choices=[(name, name) for name in methods])
        if len(methods) == 1:
            self.fields["method"].widget = forms.HiddenInput()

    def clean_text(self) -> str:
        try:
            rankings.text_method()
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        text: str = self.cleaned_data["text"]
        return text

    def check_ranking(self, method: str | None, ranking: Ranking | str | None) -> None:
        if rankings.text_methods():
            rankings.text_method(method, ranking)

    def options(self) -> dict[str, Any]:
        return super().options() | {"text": self.cleaned_data["text"]}


class PictureInput(forms.FileInput):
    """Takes all that comes under its name: files, and texts that name objects."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Any]:
        return [*files.getlist(name), *filter(None, data.getlist(name))]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in files and name not in data


class MeasuresInput(forms.CheckboxSelectMultiple):
    """Takes names one by one, or with commas between them, or “all”; where there are none, the default ones."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        names = [part.strip() for text in data.getlist(name) for part in text.split(",") if part.strip()]
        return list(plugins.available_measures()) if names == ["all"] else names or list(conf.get().compare_measures)


class CompareForm(forms.Form):
    """Two pictures, each an upload or that of an object which the visitor may see, and what to compare them by."""

    a = forms.Field(label=gettext_lazy("First picture"), required=False)
    b = forms.Field(label=gettext_lazy("Second picture"), required=False)
    measures = forms.Field(label=gettext_lazy("Compare by"), required=False)

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        for name in ("a", "b"):
            self.fields[name].widget = PictureInput(attrs={"accept": "image/*"})
        known, usual = plugins.available_measures(), conf.get().compare_measures
        names = [*(name for name in usual if name in known), *(name for name in known if name not in usual)]
        self.fields["measures"].widget = MeasuresInput(choices=[(name, known[name].title) for name in names])
        self.fields["measures"].initial = usual

    def clean_a(self) -> comparison_results.ComparisonInput:
        return self._side("a")

    def clean_b(self) -> comparison_results.ComparisonInput:
        return self._side("b")

    def clean_measures(self) -> list[str]:
        try:
            return list(plugins.select_measures(self.cleaned_data["measures"]))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def sides(self) -> list[tuple[forms.BoundField, comparison_results.ComparisonInput | None]]:
        """The fields of the two pictures, each with what was found under it."""
        found = self.cleaned_data if self.is_bound else {}
        return [(self[name], found.get(name)) for name in ("a", "b")]

    def _side(self, name: str) -> comparison_results.ComparisonInput:
        given = self.cleaned_data[name]
        if len(given) != 1:
            raise forms.ValidationError(
                _("Give one picture here: a file, or an object as app_label.model:pk. Two are compared, not more.")
            )
        if isinstance(given[0], UploadedFile):
            if not given[0].size:
                raise forms.ValidationError(_("The file is empty."))
            return comparison_results.ComparisonInput(not_too_large(given[0]))
        try:
            return comparison_results.object_input(given[0], self.request)
        except LookupError as error:
            raise forms.ValidationError(str(error)) from None
