"""Options of a search that visitors set, on pages and over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

from django import forms
from django.db import models
from django.http import HttpRequest, QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import access, conf, plugins, registry
from ..search.filters import is_filter_parameter
from ..search.options import MAX_EXAMPLES, Option, OptionError, Query, SearchOptions, Surface
from ..search.ranking import resolve_text_method, resolve_weights, text_methods
from ..search.rerank.copies import COPY_THRESHOLD
from ..sources.source import ImageSource
from .uploads import VisitorUploadField

MAX_BATCH = 100
"""Objects that can be searched by in one request."""

OPTION_ACTIONS: Mapping[str, access.Action] = {
    "box": "search_by_picture",
    "why_not": "why_not",
}
"""The costly work that options ask for, whatever their value is."""

CHOICE_ACTIONS: Mapping[tuple[str, str], access.Action] = {
    ("mode", "copy"): "copy",
    ("rerank", "keypoints"): "rerank",
    ("rerank", "verifier"): "rerank",
}
"""The costly work that a choice of an option asks for."""

FLAGS = {"": None, "1": True, "true": True, "0": False, "false": False}
"""The texts that stand for true, false, and nothing."""


def list_offered(options: Mapping[str, Option]) -> dict[str, Option]:
    """Return those of the options that there are over REST on this site: nothing that nobody may ask for."""
    off = access.list_off()
    offered = {name: option for name, option in options.items() if OPTION_ACTIONS.get(name) not in off}
    has_verifier = conf.get().verifier is not None
    for (name, value), action in CHOICE_ACTIONS.items():
        if (action in off or (value == "verifier" and not has_verifier)) and name in offered:
            choices = {other: label for other, label in offered[name].choices.items() if other != value}
            offered[name] = replace(offered[name], choices=choices)
    return offered


def form_field(option: Option, surface: Surface, *, is_visible: bool) -> forms.Field:
    """Return the form field of a search option on a surface; hidden unless it is to be visible on a page."""
    widget: Any = None if is_visible else forms.HiddenInput
    common: dict[str, Any] = {"required": False, "label": option.label or option.name, "help_text": ""}
    maximum = option.visitor_maximum() if option.visitor_maximum else option.maximum
    if bool in option.types and surface == "rest":
        return FlagField(**common)
    if option.choices:
        return forms.ChoiceField(choices=list(option.choices.items()), widget=widget, **common)
    if int in option.types or float in option.types:
        number = forms.IntegerField if int in option.types else forms.FloatField
        return number(min_value=option.minimum, max_value=maximum, widget=widget, **common)
    if option.name in ("like", "unlike"):
        return forms.Field(widget=forms.MultipleHiddenInput, **common)
    if option.parse:
        return ParsedField(option, widget=widget, **common)
    return forms.CharField(max_length=option.max_length, widget=widget, **common)


class FlagField(forms.CharField):
    """Takes true or false, 1 or 0; None where there is nothing."""

    def clean(self, value: Any) -> bool | None:
        """Return the value."""
        text = super().clean(value).lower()
        if text not in FLAGS:
            raise forms.ValidationError(_("Must be true or false."))
        return FLAGS[text]


class ParsedField(forms.CharField):
    """A text that an option reads a value from."""

    def __init__(self, option: Option, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.option = option

    def clean(self, value: Any) -> Any:
        """Return the value that the text says, None for no text."""
        text = super().clean(value)
        try:
            return self.option.parse(text) if text and self.option.parse else None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class TargetField(forms.ChoiceField):
    """Where to search: one of the choices, or another label of a source, which the form checks."""

    def valid_value(self, value: Any) -> bool:
        """Take every text."""
        return True


def target_choices() -> dict[str, Any]:
    """Return what may be searched, by label: "app.model", or "app.model.field" where several fields lead to a model."""
    sources = registry.get_sources()
    choices: dict[str, Any] = {}
    for source in sources:
        meta = source.result_model._meta
        if sum(other.result_model is source.result_model for other in sources) > 1:
            values = {"items": capfirst(meta.verbose_name_plural), "field": source.field.verbose_name}
            choices[f"{meta.label_lower}.{source.field_name}"] = _("%(items)s (%(field)s)") % values
        else:
            choices[meta.label_lower] = meta.verbose_name_plural
    return choices


class SearchOptionsForm(forms.Form):
    """Options of a list of matches that a visitor may set; those left out take their defaults."""

    surface: Surface = "page"
    query: Query = "object"
    min_similarity_of = "page"
    """Key of MIN_SIMILARITY by which items are left out where the visitor says nothing; empty for none."""
    field_order: Sequence[str] = ("mode", "limit", "min_similarity", "method", "fold")
    """The fields that a page shows, in order; the others are hidden."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.options, fields = _make_option_fields(self.__class__, conf.get().fingerprint)
        for name, field in fields.items():
            if name not in self.fields:  # what is not shown is shared: copies take as long as a statement
                self.fields[name] = field if self.surface == "rest" else deepcopy(field)
        if self.surface == "rest":
            return
        self.fields["limit"].widget.attrs["placeholder"] = conf.get().limit
        self.fields["min_similarity"].widget.attrs["placeholder"] = f"{self._default_min_similarity():g}"
        self.fields["method"].widget = forms.Select(choices=self.method_choices())
        self.order_fields(self.field_order)

    @classmethod
    def declared_options(cls) -> dict[str, Option]:
        """Return the declarations of the options that the form takes, by name."""
        return SearchOptions.on(cls.surface, cls.query)

    def method_choices(self) -> list[tuple[str, Any]]:
        """Return the methods that one may choose from, by name."""
        return [("", gettext_lazy("Everything")), *_method_titles(plugins.enabled_methods())]

    def _default_min_similarity(self) -> float:
        if self.data.get("mode") == "copy":
            return COPY_THRESHOLD
        return conf.get().min_similarity_on(self.min_similarity_of) if self.min_similarity_of else 0

    def clean(self) -> dict[str, Any]:
        """Check that the options make sense together."""
        data = super().clean() or self.cleaned_data
        for check, names in ((self._check_options, ("mode", "rerank")), (self._check_ranking, ("method", "ranking"))):
            try:
                check()
            except OptionError as error:
                self.add_error(error.option, str(error))
                for name in names:  # neither is searched by
                    data.pop(name, None)
        return data

    def _check_options(self) -> None:
        values = {name: value for name, value in self.search_options().items() if name != "model"}
        examples = 0 if self.query == "text" else 1 + len(self._keys("like"))
        SearchOptions(**values).check(examples)
        maximum = conf.get().costly_max_limit
        if self.compares_images and (self.cleaned_data.get("limit") or 0) > maximum:
            message = _(
                "At most %(limit)d results where images are compared (mode=copy, rerank=keypoints or rerank=verifier)."
            )
            raise OptionError("limit", message % {"limit": maximum})

    @property
    def compares_images(self) -> bool:
        """True for a search that reads and compares the images which it finds."""
        return any(self.cleaned_data.get(name) == value for name, value in CHOICE_ACTIONS)

    @property
    def max_limit(self) -> int:
        """The largest number of results that may be asked for."""
        return min(conf.get().max_limit, conf.get().costly_max_limit) if self.compares_images else conf.get().max_limit

    @property
    def costly_actions(self) -> list[access.Action]:
        """The costly work that a valid form asks for."""
        data = self.cleaned_data
        asked: dict[access.Action, bool] = {
            "search_by_picture": self.query != "object" or data.get("box") is not None,
            "why_not": bool(data.get("why_not")),
        }
        asked |= {action: True for (name, value), action in CHOICE_ACTIONS.items() if data.get(name) == value}
        return [action for action, is_asked in asked.items() if is_asked]

    def hide_refused(self, request: HttpRequest) -> None:
        """Show no choices that a visitor may not have."""
        if "mode" in self.fields and not access.is_allowed(request, "copy"):
            self.fields["mode"].widget = forms.HiddenInput()

    def _check_ranking(self) -> None:
        method, ranking = self.cleaned_data.get("method") or None, self.cleaned_data.get("ranking")
        try:
            self.resolve_ranking(method, ranking)
        except ValueError as error:
            raise OptionError("ranking" if ranking else "method", str(error)) from None

    def resolve_ranking(self, method: str | None, ranking: Any) -> None:
        """Check that one can search by this method or ranking.

        Raises:
            ValueError: one can't; the message says what works.
        """
        resolve_weights(method, ranking)

    def search_options(self) -> dict[str, Any]:
        """Return the keyword arguments for `similar_to`, without options that are left out or have errors."""
        self.is_valid()  # cleans the form, if that has not been done
        options = {}
        for name, option in self.options.items():
            value = self.cleaned_data.get(name)
            if value is None or value == "" or name == "unlike" or "python" not in option.surfaces:
                continue
            options[name] = value == "1" if bool in option.types and isinstance(value, str) else value
        if self.compares_images and "limit" not in options:
            options["limit"] = min(conf.get().limit, conf.get().costly_max_limit)
        if (least := self._default_min_similarity()) and options.get("mode") != "copy":
            options.setdefault("min_similarity", least)
        return options

    def filter_values(self, source: ImageSource) -> Mapping[str, Any]:
        """Return what the visitor said for the source's filters, as a `QueryDict`."""
        values = QueryDict(mutable=True)
        for name in self.data if source.filters else ():
            if is_filter_parameter(source, name):
                values.setlist(name, self._texts_of(name))
        return values

    def _texts_of(self, name: str) -> list[str]:
        """Return the values of a field as the texts that a query would have, also where the data are JSON."""
        if hasattr(self.data, "getlist"):
            return list(self.data.getlist(name))
        value = self.data[name]
        values = value if isinstance(value, list) else [] if value is None else [value]
        return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]

    def examples(
        self, source: ImageSource, request: HttpRequest, model: type[models.Model] | None = None
    ) -> tuple[list[Any], list[Any]]:
        """Return the objects named in `like` and in `unlike`; one that may not be seen is an error of the form.

        Args:
            source: the source that is searched.
            request: that of the visitor.
            model: the model whose keys they are; by default, that of what comes back.
        """
        like, unlike = (
            self._visible_objects(name, source, request, model or source.result_model) for name in ("like", "unlike")
        )
        return like, unlike

    def _keys(self, name: str) -> list[str]:
        return list(filter(None, self.cleaned_data.get(name) or []))

    def _visible_objects(
        self, name: str, source: ImageSource, request: HttpRequest, model: type[models.Model]
    ) -> list[Any]:
        keys = self._keys(name)
        if len(keys) > MAX_EXAMPLES:
            self.add_error(name, _("Name at most %(limit)d objects.") % {"limit": MAX_EXAMPLES})
            return []
        items = [source.get_visible(request, key, model) for key in keys]
        if None in items:
            self.add_error(name, _("No item with this ID."))
            return []
        return items


class SearchTargetForm(SearchOptionsForm):
    """Options of a search where no object says which model is searched."""

    found_source: ImageSource | None = None
    """The source that is searched, once the form was cleaned and there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = target_choices()
        self.fields["model"] = TargetField(
            label=gettext_lazy("Search in"), required=len(choices) != 1, choices=list(choices.items())
        )
        if len(choices) == 1:
            self.fields["model"].widget = forms.HiddenInput()
        self.order_fields(self.field_order)

    def clean_model(self) -> str:
        """Return the label of the model, with that of the field where it was chosen; the only one where none is."""
        label: str = self.cleaned_data["model"] or next(iter(target_choices()))
        try:
            registry.get_sources_in(label.rsplit(".", 1)[0] if label.count(".") > 1 else label)
        except registry.NotRegistered:
            messages = self.fields["model"].error_messages
            raise forms.ValidationError(messages["invalid_choice"], params={"value": label}) from None
        return label

    def clean(self) -> dict[str, Any]:
        """Check that the model has the image field, and that one is named where it has several."""
        data = super().clean()
        if "model" in data:
            try:
                self.found_source = self._find_source(data)
            except (registry.UnknownField, registry.AmbiguousField) as error:
                if isinstance(error, registry.UnknownField):
                    self.add_error("field", _("There is no image field of this name."))
                names = {"fields": ", ".join(error.fields)}
                self.add_error("field", _("Name one of the image fields: %(fields)s.") % names)
        return data

    def _find_source(self, data: Mapping[str, Any]) -> ImageSource:
        app_label, model, *field = data["model"].split(".")
        return registry.find_source(f"{app_label}.{model}", data.get("field") or next(iter(field), None))

    @property
    def source(self) -> ImageSource:
        """The source that is searched."""
        if self.found_source is None:
            raise AttributeError("There is none before the form was found to be valid.")
        return self.found_source

    def search_options(self) -> dict[str, Any]:
        """Return the keyword arguments for `similar_to`."""
        options = super().search_options()
        source = self.found_source
        return options | ({"model": source.model, "field": source.field_name} if source else {})


class SearchForm(SearchTargetForm):
    """An image to search by, and where."""

    query = "image"
    min_similarity_of = "search"
    field_order = ("image", "mode", "model", "limit", "min_similarity", "method")

    image = VisitorUploadField(label=gettext_lazy("Image"))

    def __init__(self, *args: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.upload_field.widget.attrs["accept"] = "image/*"
        self.upload_field.request = request

    @property
    def upload_field(self) -> VisitorUploadField:
        """The field of the image."""
        return cast("VisitorUploadField", self.fields["image"])

    def method_weights(self) -> list[dict[str, Any]]:
        """Return the methods of a search, with their weights in it, from 0 to 100; none where there is but one."""
        ranking = self.cleaned_data.get("ranking") if self.is_bound and hasattr(self, "cleaned_data") else None
        method = self.cleaned_data.get("method") if self.is_bound and hasattr(self, "cleaned_data") else None
        weights = resolve_weights(method or None, ranking)
        largest = sum(weights.values())
        rows = [
            {"name": name, "title": title, "weight": round(100 * weights.get(name, 0) / largest)}
            for name, title in _method_titles(plugins.enabled_methods())
        ]
        return rows if len(rows) > 1 else []

    @property
    def token(self) -> str:
        """The token of an upload that is kept, if that is what is searched by."""
        return self.upload_field.token


class TextForm(SearchTargetForm):
    """A text to search by, and where."""

    query = "text"
    min_similarity_of = ""
    field_order = ("text", "model", "limit", "min_similarity", "method")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].required = True
        if len(text_methods()) == 1:
            self.fields["method"].widget = forms.HiddenInput()

    @classmethod
    def declared_options(cls) -> dict[str, Option]:
        """Return the declarations of the options, and of those that are refused beside a text."""
        options = {"text": SearchOptions.declared()["text"], **SearchOptions.on(cls.surface, "image")}
        return {
            name: option for name, option in options.items() if name not in ("box", "keep", "labels", "like", "unlike")
        }

    def method_choices(self) -> list[tuple[str, Any]]:
        """Return the methods that understand text."""
        return _method_titles(text_methods())

    def resolve_ranking(self, method: str | None, ranking: Any) -> None:
        """Check that one can search by this method, and no ranking.

        Raises:
            ValueError: one can't; the message says what works.
        """
        if text_methods():
            resolve_text_method(method, ranking)


@lru_cache(maxsize=32)
def _make_option_fields(
    form: type[SearchOptionsForm], fingerprint: str
) -> tuple[dict[str, Option], dict[str, forms.Field]]:
    """Return the options that a class of forms takes, and their fields, made once for each state of the setting."""
    declared = form.declared_options()
    options = list_offered(declared) if form.surface == "rest" else declared
    fields = {
        name: form_field(option, form.surface, is_visible=name in form.field_order) for name, option in options.items()
    }
    return options, fields


class RestSimilarForm(SearchOptionsForm):
    """Options over REST of the matches of an object."""

    surface = "rest"
    min_similarity_of = "rest"

    cursor = forms.CharField(required=False)


class RestBatchForm(SearchOptionsForm):
    """Options over REST of the matches of several objects."""

    surface = "rest"
    min_similarity_of = "rest"

    ids = forms.Field()

    @classmethod
    def declared_options(cls) -> dict[str, Option]:
        """Return the declarations of the options that a search by many objects takes."""
        names = ("field", "limit", "min_similarity", "method", "ranking", "fold", "distances")
        return {name: option for name, option in super().declared_options().items() if name in names}

    def clean_ids(self) -> list[str]:
        """Return the keys as texts, in their order."""
        ids = self.cleaned_data["ids"]
        if not isinstance(ids, list):
            raise forms.ValidationError(_("Send a list of IDs."))
        if len(ids) > MAX_BATCH:
            raise forms.ValidationError(_("Name at most %(limit)d objects.") % {"limit": MAX_BATCH})
        return [*map(str, ids)]


class RestSearchForm(SearchForm):
    """Options over REST of the matches of an upload."""

    surface = "rest"


class RestTextForm(TextForm):
    """Options over REST of the matches of a text."""

    surface = "rest"

    cursor = forms.CharField(required=False)


def _method_titles(names: Iterable[str]) -> list[tuple[str, Any]]:
    methods = plugins.enabled_methods()
    return [(name, methods[name].title or name) for name in names]
