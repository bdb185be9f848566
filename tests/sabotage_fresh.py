"""The wrong lines for a fresh installation and its settings: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_FRESH = "tests/security/test_fresh_installation.py"

FRESH: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a page is open to strangers",
        "llm_gateway/api/own_second_factor.py",
        "admin.site.admin_view(own_page)",
        "own_page",
        (_FRESH, "-k", "stranger_opens_nothing"),
    ),
    (
        "the console may stand in a frame of a neighbour's page",
        "cogo/settings.py",
        'X_FRAME_OPTIONS = "DENY"',
        'X_FRAME_OPTIONS = "SAMEORIGIN"',
        (_FRESH, "-k", "carries_what_keeps"),
    ),
    (
        "single sign-on starts without a secret",
        "cogo/sign_on.py",
        "    if not secret:\n",
        "    if False:\n",
        (_FRESH, "-k", "stops_the_start_with_one_line"),
    ),
    (
        "everybody whom a provider knows gets a role",
        "cogo/sign_on.py",
        "        if not domains:\n",
        "        if False:\n",
        (_FRESH, "-k", "read_as_people"),
    ),
)
