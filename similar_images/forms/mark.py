"""Two objects, and marks of editors on them."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy


class PairForm(forms.Form):
    """Another object beside the one that an address names, and the image field, where there are several."""

    other = forms.CharField(label=gettext_lazy("Item ID"))
    field = forms.CharField(required=False)


class MarkForm(PairForm):
    """An editor's word on an object and another one: similar or not."""

    alike = forms.NullBooleanField(required=False, widget=forms.TextInput)  # takes 1 and 0, too
