"""The environment, ``.env`` and ``NAME_FILE`` as one set of names. Standard library only: it is
read before anything is installed.

Values are literal: nothing in them refers to another variable. The environment overrides ``.env``;
an empty value counts as unset.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(?P<value>.*)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class EnvironmentTrouble(ValueError):
    """The message is one line for the operator."""


def parse(text: str, source: str = ".env") -> dict[str, str]:
    """Parse a ``.env`` file as people write it: ``export``, blanks around ``=``, quotes (over
    several lines, too), comments, a byte order mark, any line ends. Raises
    :class:`EnvironmentTrouble` for a malformed line, without quoting it: it may be a secret."""
    pairs: dict[str, str] = {}
    # Not splitlines(): its other line separators may occur in a password.
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise EnvironmentTrouble(f"{source}, line {number}, is not NAME=value; correct it or begin it with #")
        value = match["value"]
        began = number
        while value[:1] in ("'", '"') and _closing(value) is None:
            if number == len(lines):
                raise EnvironmentTrouble(f"{source}, line {began}, opens a quote that is never closed")
            value += "\n" + lines[number]
            number += 1
        pairs[match["name"]] = _value(value)
    return pairs


def _closing(value: str) -> int | None:
    """The position of the closing quote of ``value``."""
    if value[0] == "'":
        found = value.find("'", 1)
        return None if found < 0 else found
    position = 1
    while position < len(value):
        if value[position] == "\\":
            position += 1
        elif value[position] == '"':
            return position
        position += 1
    return None


def _value(text: str) -> str:
    quote = text[:1]
    if quote not in ("'", '"'):
        return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
    end = _closing(text)
    inner, rest = text[1:end], text[(end or 0) + 1 :]
    if rest.strip() and not rest.lstrip().startswith("#"):
        # "a", "b" is a list, not one quoted word; 'it's' is one.
        whole = re.split(r"\s#", text, maxsplit=1)[0].strip()
        return whole[1:-1] if whole.endswith(quote) and "," not in whole else whole
    return inner if quote == "'" else re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), inner, flags=re.DOTALL)


def read_file(path: Path) -> dict[str, str]:
    """The pairs in the file; empty if it does not exist. Raises :class:`EnvironmentTrouble`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentTrouble(
            f"{path} cannot be read ({type(error).__name__}); make it a readable UTF-8 text file or remove it"
        ) from None
    return parse(text, str(path))


class Environment:
    """``given``: the process's environment; ``file``: the pairs of ``.env``, used for names that
    the environment lacks."""

    def __init__(self, given: Mapping[str, str], file: Mapping[str, str]) -> None:
        self._layers = (given, file)

    @classmethod
    def of_process(cls, root: Path) -> Environment:
        """With ``.env`` in ``root``, or the file that COGO_ENV_FILE names."""
        return cls(os.environ, read_file(Path(os.environ.get("COGO_ENV_FILE") or root / ".env")))

    def names(self) -> dict[str, str]:
        """All names with their values; the environment overrides the file."""
        given, file = self._layers
        return {**file, **{name: value for name, value in given.items() if value}}

    def plain(self, name: str) -> str:
        """A word or number without surrounding blanks and quotes."""
        text = self.str(name).strip()
        return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text

    def list(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """Words separated by commas, semicolons or blanks, quoted or not; a JSON list works too."""
        text = self.str(name).strip()
        if re.fullmatch(r"\[[^\[\]\"']*,[^\[\]\"']*\]", text):
            text = text[1:-1]
        if text[:1] == "[" and re.match(r"""\[\s*["'\]]""", text):
            try:
                found = json.loads(text.replace("'", '"'))
            except ValueError:
                raise EnvironmentTrouble(f"{name} cannot be read; separate its parts with commas") from None
            parts = [part for part in found if isinstance(part, str)]
        else:
            parts = re.split(r"[,;\s]+", text)
        return [word for part in parts if (word := part.strip().strip("'\"").strip())] or [*default]

    # Last: below it, ``str`` is this method.
    def str(self, name: str, default: str = "") -> str:
        """Raises :class:`EnvironmentTrouble`."""
        for layer in self._layers:
            value, path = layer.get(name, ""), layer.get(f"{name}_FILE", "").strip()
            if value and path:
                raise EnvironmentTrouble(f"{name} and {name}_FILE are both set; unset one of them")
            if path:
                value = _content(name, path)
            if value:
                return value
        return default


def _content(name: str, path: str) -> str:
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise EnvironmentTrouble(f"{name}_FILE names {path}, which cannot be read ({why}); correct the path or its rights") from None
    # Strip the one line end that an editor or echo adds; any other belongs to the value.
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
