"""Reading an operator's settings: what is unknown or out of range is refused with a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_WEIGHT = 1_000_000.0


def only(settings: Mapping[str, Any], known: Mapping[str, Any], strategy: str) -> None:
    """Refuse names that are not in ``known``."""
    unknown = sorted(str(name) for name in settings if name not in known)
    if unknown:
        offer = f"it knows {', '.join(sorted(known))}" if known else "it has none"
        raise ValueError(f"The {strategy} strategy has no setting {', '.join(unknown)}; {offer}.")


def number(settings: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    """A number from ``low`` to ``high``; ``default`` when absent or ``None``."""
    value = settings.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} has to be a number from {low:g} to {high:g}, not {value!r}.")
    return float(value)


def flag(settings: Mapping[str, Any], name: str, default: bool, *, or_else: str = "") -> bool:
    """``or_else``: a word the caller takes as well, for the message."""
    value = settings.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        known = f'true, false or "{or_else}"' if or_else else "true or false"
        raise ValueError(f"{name} has to be {known}, not {value!r}.")
    return value


def choice(settings: Mapping[str, Any], name: str, options: tuple[str, ...]) -> str:
    """One of ``options``, the first when absent."""
    value = settings.get(name)
    if value is None:
        return options[0]
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} has to be one of {', '.join(options)}, not {value!r}.")
    return value


def text(settings: Mapping[str, Any], name: str, default: str = "") -> str:
    value = settings.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError(f"{name} has to be a text of at most 200 characters.")
    return value


def weights(settings: Mapping[str, Any], name: str, least: int = 1) -> dict[str, float]:
    """A mapping of provider or model names to weights, of which ``least`` are above 0; empty when absent."""
    value = settings.get(name)
    if value is None or value == {}:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f'{name} has to map provider or model names to weights, such as {{"anthropic": 50, "openai": 50}}.')
    found: dict[str, float] = {}
    for key, weight in value.items():
        if not isinstance(key, str) or not key.strip():
            raise ValueError(f"{name}: a provider or model name is missing.")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= MAX_WEIGHT:
            raise ValueError(f"{name}: the weight of {key} has to be a number from 0 to {MAX_WEIGHT:g}, not {weight!r}.")
        found[key.strip()] = float(weight)
    if sum(weight > 0 for weight in found.values()) < least:
        raise ValueError(f"{name}: at least {least} of the weights {'has' if least == 1 else 'have'} to be above 0.")
    return found
