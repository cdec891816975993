"""Two images to compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import conf, permissions, plugins, visitor_files
from ..comparison import results
from .uploads import validate_upload_size


class ImageInput(forms.FileInput):
    """Takes everything that comes under its name: files, and texts that name objects."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Any]:
        """Return the files and texts."""
        return [*files.getlist(name), *filter(None, data.getlist(name))]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Tell whether there is neither."""
        return name not in files and name not in data


class MeasuresInput(forms.CheckboxSelectMultiple):
    """Takes names one by one, or with commas between them, or “all”; the default ones where there are none.

    What is not installed is among all and the default ones no more than among the choices.
    """

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        """Return the names of measures."""
        names = [part.strip() for text in data.getlist(name) for part in text.split(",") if part.strip()]
        installed = plugins.installed_measures()
        if names == ["all"]:
            return list(installed)
        return names or [name for name in conf.get().compare_measures if name in installed]


class CompareForm(forms.Form):
    """Two images, each an upload or that of an object which the visitor may see, and what to compare them by."""

    a = forms.Field(label=gettext_lazy("First image"), required=False)
    b = forms.Field(label=gettext_lazy("Second image"), required=False)
    measures = forms.Field(label=gettext_lazy("Measures"), required=False)

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        for name in ("a", "b"):
            self.fields[name].widget = ImageInput(attrs={"accept": "image/*"})
        known, usual = plugins.installed_measures(), conf.get().compare_measures
        names = [*(name for name in usual if name in known), *(name for name in known if name not in usual)]
        self.fields["measures"].widget = MeasuresInput(choices=[(name, known[name].title) for name in names])
        self.fields["measures"].initial = usual
        self.missing_measures = plugins.missing_measures() if permissions.is_staff(request) else {}

    def clean_a(self) -> results.ComparisonInput:
        """Return the first image."""
        return self._clean_input("a")

    def clean_b(self) -> results.ComparisonInput:
        """Return the second image."""
        return self._clean_input("b")

    def clean_measures(self) -> list[str]:
        """Return the names of measures that there are."""
        try:
            return list(plugins.select_measures(self.cleaned_data["measures"]))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def keep_uploads(self) -> None:
        """Keep uploads for further comparisons, for as long as drawings are kept."""
        for name in ("a", "b"):
            side = self.cleaned_data.get(name)
            if side is not None and side.object is None and not side.token:
                self.cleaned_data[name] = replace(side, token=visitor_files.keep_upload(side.file, self.request))

    def missing_hints(self) -> list[str]:
        """Return what is to be installed for more measures, for staff; each sentence once."""
        return list(dict.fromkeys(problem for problems in self.missing_measures.values() for problem in problems))

    def sides(self) -> list[tuple[forms.BoundField, results.ComparisonInput | None]]:
        """Return the fields of the two images, each with what was given for it."""
        inputs = self.cleaned_data if self.is_bound else {}
        return [(self[name], inputs.get(name)) for name in ("a", "b")]

    def _clean_input(self, name: str) -> results.ComparisonInput:
        given = self.cleaned_data[name]
        if not given:
            raise forms.ValidationError(_("Please choose an image."), code="required")
        if len(given) > 1:
            raise forms.ValidationError(_("Please choose exactly one image here."))
        if isinstance(given[0], UploadedFile):
            if not given[0].size:
                raise forms.ValidationError(_("The file is empty."))
            return results.ComparisonInput(validate_upload_size(given[0]))
        is_upload = given[0].partition(":")[0] == results.UPLOAD_KEY
        try:
            if is_upload:
                return results.upload_input(given[0], self.request)
            return results.object_input(given[0], self.request)
        except LookupError as error:
            raise forms.ValidationError(str(error)) from None
