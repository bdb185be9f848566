"""The settings of a strategy as data: what they are called, what they may be, and what they do, so that a form needs no code of its own.

Each kind reads its value out of an operator's settings with :meth:`read`, which fills in the default and raises :class:`SettingError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from . import _settings


class SettingError(ValueError):
    """One setting cannot be so. ``setting``: its name; the message is a sentence for the operator."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


class Setting(Protocol):
    """``help``: one or two sentences of what it does."""

    @property
    def name(self) -> str: ...
    @property
    def help(self) -> str: ...
    @property
    def default(self) -> Any: ...

    def read(self, settings: Mapping[str, Any]) -> Any: ...


@contextmanager
def about(name: str) -> Iterator[None]:
    """A ValueError within is one about this setting."""
    try:
        yield
    except SettingError:
        raise
    except ValueError as error:
        raise SettingError(name, str(error)) from None


class Number(msgspec.Struct, frozen=True):
    """From ``low`` to ``high``, in ``unit``. ``default`` ``None``: nothing, until it is set. ``whole``: no fractions."""

    name: str
    default: float | None
    low: float
    high: float
    help: str
    unit: str = ""
    whole: bool = False

    def read(self, settings: Mapping[str, Any]) -> Any:
        if settings.get(self.name) is None:
            return self.default
        with about(self.name):
            if self.whole and not isinstance(settings[self.name], int):
                raise ValueError(f"{self.name} has to be a whole number from {self.low:g} to {self.high:g}, not {settings[self.name]!r}.")
            found = _settings.number(settings, self.name, 0.0, self.low, self.high)
        return int(found) if self.whole else found


class Flag(msgspec.Struct, frozen=True):
    name: str
    default: bool
    help: str

    def read(self, settings: Mapping[str, Any]) -> Any:
        with about(self.name):
            return _settings.flag(settings, self.name, self.default)


class OneOf(msgspec.Struct, frozen=True):
    """One of ``options``, pairs of a value (a text or a boolean) and what it is called; the first is the default."""

    name: str
    options: tuple[tuple[Any, str], ...]
    help: str

    @property
    def default(self) -> Any:
        return self.options[0][0]

    def read(self, settings: Mapping[str, Any]) -> Any:
        value = settings.get(self.name)
        if value is None:
            return self.default
        for known, _ in self.options:
            if type(known) is type(value) and known == value:
                return known
        spelled = ", ".join(str(known).lower() if isinstance(known, bool) else known for known, _ in self.options)
        raise SettingError(self.name, f"{self.name} has to be one of {spelled}, not {value!r}.")


class Line(msgspec.Struct, frozen=True):
    """A short text."""

    name: str
    help: str
    default: str = ""

    def read(self, settings: Mapping[str, Any]) -> Any:
        with about(self.name):
            return _settings.text(settings, self.name, self.default)


class Shares(msgspec.Struct, frozen=True):
    """Weights of providers and models by name, of which ``least`` are above 0; or none at all."""

    name: str
    help: str
    least: int = 1

    @property
    def default(self) -> dict[str, float]:
        return {}

    def read(self, settings: Mapping[str, Any]) -> Any:
        with about(self.name):
            return _settings.weights(settings, self.name, self.least)


class Names(msgspec.Struct, frozen=True):
    """A list of short texts, at most ``most``. ``of``: what they name, for the form's suggestions: ``models`` or ``client keys``."""

    name: str
    help: str
    of: str = ""
    most: int = 1000

    @property
    def default(self) -> list[str]:
        return []

    def read(self, settings: Mapping[str, Any]) -> Any:
        value = settings.get(self.name)
        if value is None:
            return []
        if not isinstance(value, list | tuple) or len(value) > self.most or not all(isinstance(one, str) and one.strip() for one in value):
            raise SettingError(self.name, f"{self.name} has to be a list of at most {self.most} texts.")
        return [one.strip() for one in value]


class Rows(msgspec.Struct, frozen=True):
    """A list of objects with ``columns``, whose order counts. What they mean together is the strategy's own business to check."""

    name: str
    columns: tuple[Number | Line | Names, ...]
    default: list[dict[str, Any]]
    help: str
    most: int = 50
    one: str = "row"

    def read(self, settings: Mapping[str, Any]) -> Any:
        value = settings.get(self.name)
        if value is None:
            value = self.default
        if not isinstance(value, list | tuple) or len(value) > self.most:
            raise SettingError(self.name, f"{self.name} has to be a list of at most {self.most} {self.one}s.")
        return value


class Kind(msgspec.Struct, frozen=True):
    """Another kind of strategy, by name. ``settings``: the name of the setting that holds that kind's own settings."""

    name: str
    default: str
    settings: str
    help: str

    def read(self, settings: Mapping[str, Any]) -> Any:
        with about(self.name):
            return _settings.text(settings, self.name, self.default) or self.default


def read(schema: Sequence[Setting], settings: Mapping[str, Any], strategy: str) -> dict[str, Any]:
    """All of ``schema`` out of ``settings``, defaults filled in. Raises ValueError for a name that is not in it."""
    _settings.only(settings, {one.name: None for one in schema}, strategy)
    return {one.name: one.read(settings) for one in schema}
