"""Marks of editors on two objects."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy


class MarkForm(forms.Form):
    """An editor's word on an object and another one: similar or not."""

    other = forms.CharField(label=gettext_lazy("Item ID"))
    field = forms.CharField(required=False)
    alike = forms.NullBooleanField(required=False, widget=forms.TextInput)  # takes 1 and 0, too
