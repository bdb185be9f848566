from __future__ import annotations

import pytest
from django.utils import timezone

from llm_gateway.actions import ActionError
from llm_gateway.actions.store_provider_key import store_keyless, store_provider_key
from llm_gateway.models import CatalogueVersion, DeploymentHealth, Provider, ProviderKey
from llm_gateway.stores import vault

pytestmark = pytest.mark.django_db
SECRET = "canary-0123456789-abcd"


def test_a_key_is_kept_as_ciphertext_bound_to_its_row(host: Provider) -> None:
    key = store_provider_key(host, f"  {SECRET}\n")
    stored = ProviderKey.objects.get(pk=key.pk)
    assert vault.open_sealed(stored.ciphertext, place=vault.place_of(stored)).reveal() == SECRET
    assert stored.hint == "…abcd"
    assert stored.state == "unchecked"
    row = ProviderKey.objects.filter(pk=key.pk).values().get()
    assert SECRET not in repr(row)


def test_a_ciphertext_copied_to_another_row_does_not_open(host: Provider) -> None:
    one, two = store_provider_key(host, SECRET, "one"), store_provider_key(host, "another-0123456789", "two")
    with pytest.raises(vault.VaultError):
        vault.open_sealed(one.ciphertext, place=vault.place_of(two))


def test_a_replaced_key_forgets_what_was_known_of_the_old_one(host: Provider) -> None:
    key = store_provider_key(host, SECRET)
    ProviderKey.objects.filter(pk=key.pk).update(state="invalid", reason="bad", evidence="401", checked_at=timezone.now())
    DeploymentHealth.objects.create(provider_key=key, upstream_id="m", state="off", since=timezone.now())
    again = store_provider_key(host, "another-0123456789")
    assert again.pk == key.pk
    assert (again.state, again.reason, again.evidence, again.checked_at) == ("unchecked", "", "", None)
    assert not DeploymentHealth.objects.exists()


def test_the_same_key_again_changes_nothing(host: Provider) -> None:
    key = store_provider_key(host, SECRET)
    ProviderKey.objects.filter(pk=key.pk).update(state="valid")
    version, ciphertext = CatalogueVersion.current(), key.ciphertext
    again = store_provider_key(host, SECRET)
    assert (again.state, again.ciphertext, CatalogueVersion.current()) == ("valid", ciphertext, version)


def test_a_new_key_is_news_to_every_worker(host: Provider) -> None:
    version = CatalogueVersion.current()
    store_provider_key(host, SECRET)
    assert CatalogueVersion.current() > version


@pytest.mark.parametrize(
    "plain", ["", "   ", "abc\ndef-012345", "abc\r\nX-Evil: 1", "abc def 0123", "abc\x00def", "schlüssel-0123", "k" * 5000, "Bearer abcdef"]
)
def test_what_cannot_be_a_credential_is_refused_without_being_repeated(host: Provider, plain: str) -> None:
    with pytest.raises(ActionError) as caught:
        store_provider_key(host, plain)
    assert not plain.strip() or plain.strip() not in str(caught.value)
    assert not ProviderKey.objects.exists()


def test_a_host_that_takes_no_key_gets_an_empty_row(host: Provider) -> None:
    key = store_keyless(host)
    assert (key.ciphertext, key.hint, key.state) == ("", "", "unchecked")
    assert store_keyless(host).pk == key.pk
