"""Pages with generated parts, between `<!-- generated: NAME ARGUMENT -->` and `<!-- /generated -->`."""

from __future__ import annotations

import re

from . import configuration, openapi, python_api, system_checks

PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+)(?: (?P<argument>\S+))? -->\n).*?(<!-- /generated -->)", re.DOTALL)

GENERATORS = {
    "api": python_api.describe,
    "commands": configuration.commands,
    "css": configuration.css,
    "docstring": python_api.describe_in_words,
    "encoder-options": configuration.encoder_options,
    "encoder-presets": configuration.encoder_presets,
    "exceptions": configuration.exceptions,
    "measures": configuration.measures,
    "methods": configuration.methods,
    "ranking-presets": configuration.ranking_presets,
    "rest": openapi.describe_endpoint,
    "rest-objects": openapi.describe_objects,
    "settings": configuration.settings,
    "system-checks": system_checks.describe_checks,
}


def render(page: str) -> str:
    """Return a page with its generated parts made again."""

    def replace(match: re.Match[str]) -> str:
        arguments = [match["argument"]] if match["argument"] else []
        return f"{match[1]}\n{GENERATORS[match['name']](*arguments).strip()}\n\n{match[4]}"

    return PART.sub(replace, page)
