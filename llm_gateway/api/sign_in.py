"""The console's sign-in form: a try that has to wait is told how long. Apart from the admin, whose site is made with it."""

from __future__ import annotations

from typing import Any

from django import forms
from typing_extensions import override
from unfold.forms import AuthenticationForm

from llm_gateway.actions.sign_in import passwords_open
from llm_gateway.core.errors import RateLimited


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # Unfold carries no types
    @override
    def clean(self) -> dict[str, Any]:
        if not passwords_open():
            raise forms.ValidationError("Passwords do not open this console; use single sign-on.", code="switched_off")
        try:
            cleaned: dict[str, Any] = super().clean()
        except RateLimited as error:
            raise forms.ValidationError(error.message, code="throttled") from None
        return cleaned
