"""A key that was refused and of which no check can tell: a request may try it after a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from llm_gateway.actions.check_keys import check_keys
from llm_gateway.actions.store_provider_key import store_provider_key
from llm_gateway.core.errors import FailureClass
from llm_gateway.models import DeploymentHealth, KeyCheck, Provider, ProviderKey

from .test_check_keys import SECRET, Answer, Network, fault

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(host: Provider) -> ProviderKey:
    return store_provider_key(host, SECRET)


@pytest.mark.parametrize("refused", ["invalid", "no_permission", "out_of_credit"])
@pytest.mark.parametrize(
    ("silent", "back"),
    [
        (fault(FailureClass.TLS), "unreachable"), (fault(), "unreachable"), (Answer(500, b"oops"), "unreachable"),
        (Answer(404, b"{}"), "unchecked"),
    ],
    ids=["tls", "dns", "500", "404"],
)  # fmt: skip
def test_a_refused_key_of_which_no_check_can_tell_may_be_tried_again(key: ProviderKey, refused: str, silent: Any, back: str) -> None:
    now = timezone.now()
    KeyCheck.objects.create(provider_key=key, at=now - timedelta(minutes=21), state=refused, trigger="traffic")
    ProviderKey.objects.update(state=refused, checked_at=now - timedelta(minutes=21))
    for ago in (None, 14):
        if ago is not None:
            KeyCheck.objects.filter(state__in=("unreachable", "unchecked")).update(at=now - timedelta(minutes=ago))
            ProviderKey.objects.update(checked_at=now - timedelta(minutes=ago))
        (result,) = check_keys(probe=Network(silent))
        assert (result.state, ProviderKey.objects.get().state) == (refused, refused)
    KeyCheck.objects.filter(state__in=("unreachable", "unchecked")).update(at=now - timedelta(minutes=16))
    ProviderKey.objects.update(checked_at=now - timedelta(minutes=16))
    DeploymentHealth.objects.create(provider_key=key, upstream_id="m", state="off", since=now)
    (result,) = check_keys(probe=Network(silent))
    assert (result.state, ProviderKey.objects.get().state) == (back, back)
    assert result.state.routable
    assert "a request may try it" in result.reason
    assert not DeploymentHealth.objects.exists()


def test_a_key_that_is_refused_again_rests_again(key: ProviderKey) -> None:
    now = timezone.now()
    for minutes, state in ((40, "unreachable"), (20, "unreachable"), (1, "invalid")):
        KeyCheck.objects.create(provider_key=key, at=now - timedelta(minutes=minutes), state=state, trigger="traffic")
    ProviderKey.objects.update(state="invalid", checked_at=now - timedelta(minutes=1))
    (result,) = check_keys(probe=Network(fault()))
    assert result.state == "invalid"
