"""A string that cannot be printed by accident."""

from __future__ import annotations

from typing import Any, NoReturn, final


@final
class Secret:
    """Holds a credential; every textual form is ``***``. Call :meth:`reveal` only where the secret
    goes on the wire."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


def mask(value: str) -> str:
    """A credential's last four characters for display; nothing of a short one."""
    return f"…{value[-4:]}" if len(value) >= 12 else "…"
