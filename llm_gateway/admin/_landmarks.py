"""A main landmark and a way past the menu on every page of the console. A library of template filters."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

register = template.Library()
_MAIN = '<div id="main"'
_CONTENT = '<div id="content"'
_SKIP = '<a class="cogo-skip" href="#content">Skip to content</a>'


@register.filter
def with_landmarks(page: SafeString) -> SafeString:
    """``page``: Unfold's own markup, rendered. Left alone where it has no such places."""
    marked = page.replace(_MAIN, f'{_MAIN} role="main"', 1).replace(_CONTENT, f'{_CONTENT} tabindex="-1"', 1)
    return SafeString(f"{_SKIP}{marked}" if _CONTENT in page else marked)
