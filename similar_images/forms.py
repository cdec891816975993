from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import conf, registry, search, signatures
from .nearest import Ranking


class OptionsForm(forms.Form):
    """What a visitor may ask of a list of matches, on a page as over REST; what is left out takes its default."""

    field_order: Sequence[str] = ("limit", "min_similarity", "method")

    method = forms.CharField(required=False)
    ranking = forms.CharField(required=False)
    field = forms.CharField(required=False)
    distances = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = conf.get()
        self.fields["limit"] = forms.IntegerField(
            label=gettext_lazy("How many"), required=False, min_value=1, max_value=settings.max_limit
        )
        self.fields["min_similarity"] = forms.FloatField(
            label=gettext_lazy("At least this similar, in percent"),
            required=False,
            min_value=0,
            max_value=100,
        )
        self.fields["limit"].widget.attrs["placeholder"] = settings.limit
        self.fields["min_similarity"].widget.attrs["placeholder"] = 0
        choices: list[tuple[str, Any]] = [
            ("", gettext_lazy("everything")),
            *((name, name) for name in signatures.enabled()),
        ]
        self.fields["method"].widget = forms.Select(choices=choices)
        self.fields["method"].label = gettext_lazy("By")
        self.order_fields(self.field_order)

    def clean_ranking(self) -> dict[str, float] | None:
        text = self.cleaned_data["ranking"]
        if not text:
            return None
        try:
            return {name.strip(): float(weight) for name, weight in (part.split(":") for part in text.split(","))}
        except ValueError:
            raise forms.ValidationError(_("Write a ranking as embedding:0.8,color:0.2.")) from None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "ranking" in data and "method" in data:
            try:
                self.check_ranking(data["method"] or None, data["ranking"])
            except ValueError as error:
                self.add_error("ranking" if data["ranking"] else "method", str(error))
        return data

    def check_ranking(self, method: str | None, ranking: Ranking | None) -> None:
        search.weights_of(method, ranking)

    def options(self) -> dict[str, Any]:
        """The keyword arguments for `similar_to`; fields with errors are left to their defaults."""
        data = self.cleaned_data
        return {
            "limit": data.get("limit"),
            "min_similarity": data.get("min_similarity") or 0,
            "method": data.get("method") or None,
            "ranking": data.get("ranking"),
            "field": data.get("field") or None,
        }


class AmongForm(OptionsForm):
    """What says where to search, when no object does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = {source.model._meta.label_lower: source.model for source in registry.sources()}
        self.fields["model"] = forms.ChoiceField(
            label=gettext_lazy("Among"),
            required=len(models) != 1,
            choices=[(label, model._meta.verbose_name_plural) for label, model in models.items()],
        )
        self.order_fields(self.field_order)

    def clean_model(self) -> str:
        label: str = self.cleaned_data["model"]
        return label or registry.sources()[0].model._meta.label_lower

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if "model" in data and data.get("field"):
            try:
                registry.get(data["model"], data["field"])
            except registry.NotRegistered:
                self.add_error("field", _("There is no image field of this name."))
        return data

    def options(self) -> dict[str, Any]:
        return super().options() | {"model": self.cleaned_data["model"]}


class SearchForm(AmongForm):
    """A picture to search with, and where."""

    field_order = ("image", "model", "limit", "min_similarity", "method")

    image = forms.FileField(label=gettext_lazy("Picture"), widget=forms.FileInput(attrs={"accept": "image/*"}))
    labels = forms.BooleanField(required=False, widget=forms.TextInput)  # unlike a checkbox, takes 0 for no

    def clean_image(self) -> UploadedFile[bytes]:
        image: UploadedFile[bytes] = self.cleaned_data["image"]
        limit = conf.get().search_max_bytes
        if image.size and image.size > limit:
            message = _("The file is larger than %(limit)s; save it smaller.") % {"limit": filesizeformat(limit)}
            raise forms.ValidationError(message)
        return image


class TextForm(AmongForm):
    """A text to search with, and where."""

    field_order = ("text", "model", "limit", "min_similarity", "method")

    text = forms.CharField(label=gettext_lazy("What it shows"), max_length=search.TEXT_LENGTH)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        methods = search.text_methods()
        self.fields["method"].widget = forms.Select(choices=[(name, name) for name in methods])
        if len(methods) == 1:
            self.fields["method"].widget = forms.HiddenInput()

    def clean_text(self) -> str:
        try:
            search.text_method()
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        text: str = self.cleaned_data["text"]
        return text

    def check_ranking(self, method: str | None, ranking: Ranking | None) -> None:
        if search.text_methods():
            search.text_method(method, ranking)

    def options(self) -> dict[str, Any]:
        return super().options() | {"text": self.cleaned_data["text"]}
