"""All that is wrong with the settings, gathered first and told at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from logkeep.config.sources import Sources
from logkeep.config.wording import KeyPath, key_text, one_line, show, suggestion
from logkeep.errors import ConfigError, Problem

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


class Findings:
    """Problems and warnings by key. One problem a key: the first found is the cause, later ones its echo."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._problems = dict(reversed(sources.broken))
        self._warnings: dict[str, Problem] = {}

    def add(self, at: KeyPath, what: str) -> None:
        """Record what is wrong at a key and what to do about it."""
        self._problems.setdefault(at, what)

    def add_errors(self, at: KeyPath, error: ValidationError, model: type[BaseModel]) -> None:
        """Record everything that validating ``model`` at a key brought up."""
        for detail in error.errors(include_url=False):
            self.add((*at, *detail["loc"]), _wording(detail, model))

    def warn(self, at: KeyPath, what: str) -> None:
        """Record what works and is unwise."""
        self._warn(self._where(at), what)

    def warn_of_file(self, what: str) -> None:
        """Record what is unwise about the configuration file itself."""
        self._warn(one_line(str(self._sources.file)), what)

    def _warn(self, where: str, what: str) -> None:
        self._warnings.setdefault(where, Problem(where, one_line(what)))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What works and is unwise."""
        return tuple(self._warnings.values())

    def raise_if_any(self) -> None:
        """End here if anything is wrong.

        Raises:
            ConfigError: with every problem in the order of the file, variables that mean nothing last.
        """
        ranked = sorted(self._problems, key=lambda at: _rank(at, self._sources.tree))
        problems = [Problem(self._where(at), one_line(self._problems[at])) for at in ranked]
        if problems or self._sources.strays:
            raise ConfigError([*problems, *self._sources.strays])

    def _where(self, at: KeyPath) -> str:
        """The key's path, led by the variable it came from, if it did."""
        for length in range(len(at), 0, -1):
            variable = self._sources.variables.get(at[:length])
            if variable is not None:
                return variable + key_text(at[length:])
        return key_text(at)


def _wording(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing; write it"
    if kind == "extra_forbidden":
        return f"no such key; {suggestion(str(detail['loc'][-1]), model.model_fields)}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]  # a duration comes as words, "7 days"
        return f"must be {words} {bound if isinstance(bound, str) else show(bound)}, not {show(detail['input'])}"
    return detail["msg"]


def _rank(at: KeyPath, tree: Any) -> tuple[int, ...]:
    """Where a key stands in the tree; what is missing comes after what is there."""
    if not at:
        return ()
    step, rest = at[0], at[1:]
    if isinstance(tree, Mapping) and step in tree:
        return (list(tree).index(step), *_rank(rest, tree[step]))
    if isinstance(tree, Sequence) and isinstance(step, int) and step < len(tree):
        return (step, *_rank(rest, tree[step]))
    return (len(tree) if isinstance(tree, Mapping | Sequence) else 0,)
