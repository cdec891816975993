"""By which methods a search goes, and how much each of them weighs."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from .. import conf, plugins, ranking_presets

Ranking = Mapping[str, float]


def resolve_weights(method: str | None = None, ranking: Ranking | str | None = None) -> dict[str, float]:
    """The weights by method that a caller asks for, without those of zero.

    Raises:
        ValueError: a method is not enabled, or the weights make no sense; the message says what would.
    """
    if method is not None and ranking is not None:
        raise ValueError(_("Give either a method or a ranking, not both."))
    enabled = plugins.enabled_methods()
    weights = (
        {method: 1.0}
        if method is not None
        else ranking_presets.resolve_preset(conf.get().ranking if ranking is None else ranking, enabled)
    )
    for name in weights:
        if name not in enabled:
            message = _("There is no method “%(name)s” here; there are: %(known)s.")
            raise ValueError(message % {"name": name, "known": ", ".join(enabled)})
    if not conf.is_valid_ranking(weights):
        raise ValueError(
            _("A ranking gives at least one method a weight above 0, and none a negative one, or one above a million.")
        )
    return {name: float(weight) for name, weight in weights.items() if weight}


def text_methods() -> list[str]:
    """The names of the methods that a text can be searched by."""
    return [name for name, method in plugins.enabled_methods().items() if method.takes_text]


def text_method(method: str | None = None, ranking: Ranking | str | None = None) -> str:
    """The method by which a text is searched.

    Raises:
        ValueError: there is none, or not the one that is asked for; the message says what would.
    """
    known = text_methods()
    if not known:
        message = _("No method here understands text: set “text_file” and “tokenizer” of one in %(setting)s.")
        raise ValueError(message % {"setting": "SIMILAR_IMAGES['METHODS']"})
    if ranking is not None:
        raise ValueError(_("A search by text has no ranking; it goes by one method."))
    if method is not None and method not in known:
        message = _("The method “%(name)s” does not understand text; these do: %(known)s.")
        raise ValueError(message % {"name": method, "known": ", ".join(known)})
    return method or known[0]
