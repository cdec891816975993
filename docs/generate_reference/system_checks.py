"""System checks, read from their modules: ids, messages, hints."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from types import ModuleType
from typing import Any

from django.core.checks.registry import registry as check_registry

from similar_images import checks

from .markdown import code, prose, table

NAMES_PROBLEM = "The message names what is wrong."
SEVERITIES = {"Error": "error", "Warning": "warning", "Info": "info"}


def describe_checks() -> str:
    """Describe every system check: its id, when it runs, and its messages, with … for what varies."""
    trees = [ast.parse(inspect.getsource(module)) for module in check_modules()]
    functions = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    registered = {check.__name__: check for check in check_registry.get_checks(include_deployment_checks=True)}
    rows: dict[str, list[str]] = {}
    for name, function in functions.items():
        callers = [name, *(other for other, node in functions.items() if name in names_in(node))]
        check = next((registered[caller] for caller in callers if caller in registered), None)
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            keywords = {keyword.arg: keyword.value for keyword in call.keywords}
            severity = ast.unparse(call.func).rpartition(".")[2]
            if severity not in SEVERITIES or check is None:
                continue
            key = ast.literal_eval(keywords["id"])
            message = literal(call.args[0], function) or NAMES_PROBLEM
            hint = literal(keywords["hint"], function) if "hint" in keywords else ""
            row = rows.setdefault(key, [code(key), SEVERITIES[severity], runs_with(check), message, hint])
            row[3] += "" if message in row[3] else f"<br>{message}"
            row[4] += "" if hint in row[4] else f"<br>{hint}"
    return table(["Id", "Severity", "Runs with", "Message", "What to do"], (rows[key] for key in sorted(rows)))


def check_modules() -> list[ModuleType]:
    """Return the modules of checks."""
    names = sorted(module.name for module in pkgutil.iter_modules(checks.__path__))
    return [importlib.import_module(f"{checks.__name__}.{name}") for name in names]


def names_in(node: ast.AST) -> set[str]:
    """Return the names that occur in a piece of code."""
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def runs_with(check: Any) -> str:
    """Return the command that runs a check."""
    if check in check_registry.deployment_checks:
        return "`check --deploy`"
    return "`check --database default`" if "database" in check.tags else "`check`"


def literal(node: ast.expr, function: ast.FunctionDef) -> str:
    """Return a message as it stands in the code, … for what varies; empty where it is computed elsewhere."""
    if isinstance(node, ast.Constant):
        return prose(str(node.value))
    if isinstance(node, ast.JoinedStr):
        parts = (prose(str(part.value)) if isinstance(part, ast.Constant) else "…" for part in node.values)
        return re.sub(r"'…'|“…”", "…", "".join(parts))
    if isinstance(node, ast.Name):
        for module in check_modules():
            if isinstance(value := getattr(module, node.id, None), str):
                return prose(value)
        for statement in (item for item in ast.walk(function) if getattr(item, "lineno", 0) < node.lineno):
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == node.id:
                return literal(statement.value, function)
            if isinstance(statement, ast.NamedExpr) and statement.target.id == node.id:
                return literal(statement.value, function)
    return ""
