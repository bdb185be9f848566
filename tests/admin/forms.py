"""What a browser would send for a form as it stands: read from the page, so that tests send only what they change."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from typing_extensions import override


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, Any] = {}
        self._select = ""
        self._area = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = dict(attrs)
        name = a.get("name") or ""
        if tag == "input" and name:
            kind = a.get("type", "text")
            if kind in ("checkbox", "radio"):
                if "checked" in a:
                    self._add(name, a.get("value") or "on")
            elif kind not in ("submit", "button"):
                self._add(name, a.get("value") or "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in a:
            self._add(self._select, a.get("value") or "")
        elif tag == "textarea":
            self._area = name
            self.data[name] = ""

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    @override
    def handle_data(self, data: str) -> None:
        if self._area:
            self.data[self._area] += data

    def _add(self, name: str, value: str) -> None:
        if name in self.data and not name.startswith("csrf"):
            known = self.data[name]
            self.data[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            self.data[name] = value


def fields_of(html: str) -> dict[str, Any]:
    """Of the object's own form; the search box, the theme switch and inline templates are not part of it."""
    parser = _Fields()
    begin = html.find('method="post" id="')
    parser.feed(html[begin if begin >= 0 else 0 :])
    return {name: value for name, value in parser.data.items() if "__prefix__" not in name}


def post(client: Any, url: str, **changes: Any) -> Any:
    page = client.get(url)
    assert page.status_code == 200, (url, page.status_code)
    return client.post(url, fields_of(page.content.decode()) | changes)
