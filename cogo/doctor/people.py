"""How people sign in: whether the identity provider answers as it should, and whether anybody would
get in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from llm_gateway.actions import _oidc
from llm_gateway.actions.sign_on import settings_of_sign_on
from llm_gateway.policies.sign_on import SignOnRefused

from . import Diagnosis, examinations, fine, notice, problem


@examinations("Signing in")
def signing_in() -> Iterator[Diagnosis]:
    chosen = settings_of_sign_on()
    if chosen is None:
        yield fine("People sign in with passwords; single sign-on is not set up.")
        return
    try:
        asyncio.run(_oidc.sign_in_address(chosen, _oidc.start(), ""))
    except SignOnRefused as refused:
        yield problem(
            f"Nobody can sign in by {chosen.issuer}. {refused.reason}",
            "Correct COGO_SSO_ISSUER, or the way out (docs/configuration.md). manage.py sign_in_link NAME opens the console meanwhile.",
        )
    else:
        yield fine(f"{chosen.issuer} describes itself as it should.")
    if not chosen.roles and not chosen.default_role:
        yield notice(
            "Single sign-on gives nobody a role: only who has an account or an invitation comes in.", "Set COGO_SSO_ROLES (docs/sso.md)."
        )
