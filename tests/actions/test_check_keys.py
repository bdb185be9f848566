from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from llm_gateway.actions import check_keys as module
from llm_gateway.actions.check_keys import acheck_keys, check_keys, next_round
from llm_gateway.actions.load_catalogue import load_catalogue
from llm_gateway.actions.store_provider_key import store_keyless, store_provider_key
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.keys import KeyState
from llm_gateway.models import CatalogueVersion, DeploymentHealth, KeyCheck, Provider, ProviderKey
from llm_gateway.simulator.threaded import ThreadedSimulator

pytestmark = pytest.mark.django_db
SECRET = "canary-0123456789-abcd"
LISTED = b'{"object":"list","data":[]}'


class Answer(msgspec.Struct, frozen=True):
    status: int = 200
    body: bytes = LISTED
    headers: Mapping[str, str] = MappingProxyType({"content-type": "application/json"})


class Network:
    """Answers probes: by URL part, else with the last entry. An exception is raised; a callable is called first."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers) or [Answer()]
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.running = self.most = 0

    async def __call__(self, method: str, url: str, headers: Mapping[str, str], *, timeout_s: float, allow_private: bool) -> Any:
        self.calls.append((url, dict(headers)))
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def fault(kind: FailureClass = FailureClass.DNS) -> AttemptFailed:
    return AttemptFailed(Failure(kind=kind))


@pytest.fixture
def key(host: Provider) -> ProviderKey:
    return store_provider_key(host, SECRET)


def test_a_valid_key_is_marked_so_with_its_evidence_and_history(key: ProviderKey) -> None:
    version = CatalogueVersion.current()
    network = Network()
    (result,) = check_keys(probe=network)
    row = ProviderKey.objects.get()
    assert (result.before, result.state, row.state, row.checking_until) == ("unchecked", "valid", "valid", None)
    assert network.calls[0][1]["authorization"] == f"Bearer {SECRET}"
    assert row.checked_at is not None
    assert row.next_check_at is not None
    assert row.next_check_at == next_round(row.checked_at, KeyState.VALID)
    history = KeyCheck.objects.get()
    assert (history.state, history.trigger) == ("valid", "schedule")
    assert CatalogueVersion.current() > version


def test_a_check_that_changes_nothing_is_no_news_to_workers(key: ProviderKey) -> None:
    check_keys(probe=Network())
    version = CatalogueVersion.current()
    check_keys([key], probe=Network())
    assert CatalogueVersion.current() == version
    assert KeyCheck.objects.count() == 2


def test_a_refused_key_leaves_routing_and_comes_back_when_it_checks_valid(key: ProviderKey) -> None:
    DeploymentHealth.objects.create(provider_key=key, upstream_id="m", state="off", since=timezone.now())
    version = CatalogueVersion.current()
    check_keys(probe=Network(Answer(401, b'{"error":{"message":"bad key"}}')))
    row = ProviderKey.objects.get()
    assert row.state == "invalid"
    assert not KeyState(row.state).routable
    assert CatalogueVersion.current() > version
    check_keys([key], probe=Network())
    assert ProviderKey.objects.get().state == "valid"
    assert not DeploymentHealth.objects.exists()


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, "valid"),
        (401, "invalid"),
        (402, "out_of_credit"),
        (403, "no_permission"),
        (429, "rate_limited"),
        (500, "unreachable"),
        (404, "unchecked"),
    ],
)
def test_every_answer_has_its_state(key: ProviderKey, status: int, state: str) -> None:
    (result,) = check_keys(probe=Network(Answer(status, b'{"error":{"message":"x"}}')))
    assert result.state == state
    assert result.reason


def test_an_unreachable_provider_leaves_a_valid_key_routable(key: ProviderKey) -> None:
    check_keys(probe=Network())
    (result,) = check_keys([key], probe=Network(fault()))
    assert result.state == "unreachable"
    assert result.state.routable
    assert "host name cannot be resolved" in result.reason


@pytest.mark.parametrize("refused", ["invalid", "no_permission", "out_of_credit"])
@pytest.mark.parametrize("silent", [fault(), Answer(500, b"oops"), Answer(404, b"{}")])
def test_silence_never_brings_back_a_refused_key(key: ProviderKey, refused: str, silent: Any) -> None:
    ProviderKey.objects.update(state=refused)
    version = CatalogueVersion.current()
    (result,) = check_keys([key], probe=Network(silent))
    assert (result.state, ProviderKey.objects.get().state) == (refused, refused)
    assert "as far as known" in result.reason
    assert CatalogueVersion.current() == version


def test_a_key_that_traffic_found_out_of_credit_rests_before_a_model_list_brings_it_back(key: ProviderKey) -> None:
    ProviderKey.objects.update(state="out_of_credit", checked_at=timezone.now() - timedelta(minutes=5))
    KeyCheck.objects.create(provider_key=key, at=timezone.now() - timedelta(minutes=5), state="out_of_credit", trigger="traffic")
    (result,) = check_keys(probe=Network())
    assert result.state == "out_of_credit"
    KeyCheck.objects.filter(trigger="traffic").update(at=timezone.now() - timedelta(minutes=11))
    ProviderKey.objects.update(checked_at=timezone.now() - timedelta(minutes=5))
    (result,) = check_keys(probe=Network())
    assert result.state == "valid"


def test_an_operator_may_give_a_host_without_a_model_list_another_chance(key: ProviderKey) -> None:
    ProviderKey.objects.update(state="invalid")
    (result,) = check_keys([key], trigger="demand", probe=Network(Answer(404, b"{}")))
    assert result.state == "unchecked"


def test_a_second_probe_decides_where_the_first_is_inconclusive() -> None:
    load_catalogue()
    fireworks = store_provider_key(Provider.objects.get(slug="fireworks"), SECRET)
    network = Network(Answer(500, b'{"error":{"message":"Error listing deployed models"}}'), Answer(200, b'{"models":[]}'))
    (result,) = check_keys([fireworks], probe=network)
    assert result.state == "valid"
    assert len(network.calls) == 2


def test_the_provider_may_repeat_our_key_without_its_being_stored(key: ProviderKey) -> None:
    body = f'{{"error":{{"message":"Incorrect API key provided: {SECRET}"}}}}'.encode()
    (result,) = check_keys(probe=Network(Answer(401, body)))
    stored = repr([*ProviderKey.objects.values(), *KeyCheck.objects.values(), result])
    assert SECRET not in stored
    assert "***" in result.evidence


@pytest.mark.usefixtures("key")
def test_the_schedule_leaves_a_key_alone_that_another_process_checks() -> None:
    ProviderKey.objects.update(checking_until=timezone.now() + timedelta(seconds=30))
    network = Network()
    assert check_keys(probe=network) == []
    assert network.calls == []
    ProviderKey.objects.update(checking_until=timezone.now() - timedelta(seconds=1))
    assert len(check_keys(probe=network)) == 1


def test_who_asks_gets_an_answer_though_the_schedule_is_at_it(key: ProviderKey) -> None:
    ProviderKey.objects.update(checking_until=timezone.now() + timedelta(seconds=30))
    (result,) = check_keys([key], trigger="demand", probe=Network())
    assert (result.state, ProviderKey.objects.get().checking_until) == ("valid", None)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Something that happens while the provider thinks: after the claim, before the verdict is stored."""
    record = module._record

    def happen(event: Callable[[], object]) -> None:
        def late(*args: Any) -> Any:
            event()
            return record(*args)

        monkeypatch.setattr(module, "_record", late)

    return happen


@pytest.mark.usefixtures("key")
def test_a_key_replaced_during_the_check_is_not_judged_by_the_old_answer(host: Provider, meanwhile: Any) -> None:
    meanwhile(lambda: store_provider_key(host, "another-0123456789"))
    (result,) = check_keys(probe=Network(Answer(401, b"{}")))
    row = ProviderKey.objects.get()
    assert (result.applied, result.state, row.state, row.checking_until) == (False, "unchecked", "unchecked", None)
    assert not KeyCheck.objects.exists()


def test_a_key_refused_by_traffic_during_the_check_is_not_put_right_by_an_old_answer(key: ProviderKey, meanwhile: Any) -> None:
    meanwhile(lambda: ProviderKey.objects.filter(pk=key.pk).update(state="invalid"))
    (result,) = check_keys(probe=Network())
    row = ProviderKey.objects.get()
    assert (result.applied, result.state, row.state, row.checking_until) == (False, "invalid", "invalid", None)


def test_the_schedule_skips_what_is_off_or_was_just_checked(host: Provider, key: ProviderKey) -> None:
    store_provider_key(host, SECRET + "2", "off")
    ProviderKey.objects.filter(name="off").update(enabled=False)
    ProviderKey.objects.filter(pk=key.pk).update(checked_at=timezone.now() - timedelta(seconds=30))
    assert check_keys(probe=Network()) == []
    ProviderKey.objects.filter(pk=key.pk).update(checked_at=timezone.now() - timedelta(minutes=4))
    assert [result.name for result in check_keys(probe=Network())] == ["default"]
    Provider.objects.update(enabled=False)
    ProviderKey.objects.update(checked_at=None)
    assert check_keys(probe=Network()) == []


@pytest.mark.parametrize(
    ("checked", "state", "again"),
    [
        ("10:01:00", KeyState.VALID, "10:05:00"),
        ("10:03:30", KeyState.VALID, "10:10:00"),
        ("10:03:30", KeyState.INVALID, "10:05:00"),
        ("10:05:14", KeyState.OUT_OF_CREDIT, "10:10:00"),
        ("23:59:30", KeyState.NO_PERMISSION, "00:00:00"),
    ],
)
def test_the_next_check_is_told_as_the_schedule_makes_it(checked: str, state: KeyState, again: str) -> None:
    assert f"{next_round(datetime.fromisoformat(f'2026-11-22T{checked}+00:00'), state):%H:%M:%S}" == again


def test_a_key_refused_just_now_is_asked_about_in_the_next_round(key: ProviderKey) -> None:
    ProviderKey.objects.filter(pk=key.pk).update(state="invalid", checked_at=timezone.now() - timedelta(seconds=30))
    (result,) = check_keys(probe=Network())
    assert (result.before, result.state) == ("invalid", "valid")


def test_keys_are_asked_side_by_side(host: Provider) -> None:
    for number in range(6):
        store_provider_key(host, f"{SECRET}-{number}", f"key {number}")
    network = Network()
    assert len(check_keys(probe=network)) == 6
    assert network.most == 6


def test_a_probe_that_never_ends_ends(key: ProviderKey, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Network):
        async def __call__(self, *args: Any, **options: Any) -> Any:
            await asyncio.sleep(60)

    monkeypatch.setattr(module, "KEY_TIMEOUT_S", 0.05)
    (result,) = check_keys(probe=Silent())
    assert result.state == "unreachable"
    assert "in time" in result.reason


def test_a_round_is_bounded_and_begins_with_those_checked_longest_ago(host: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for number, minutes in enumerate((10, None, 30)):
        row = store_provider_key(host, f"{SECRET}-{number}", f"key {number}")
        ProviderKey.objects.filter(pk=row.pk).update(checked_at=minutes and timezone.now() - timedelta(minutes=minutes))
    assert [result.name for result in check_keys(probe=Network())] == ["key 1", "key 2"]
    assert [result.name for result in check_keys(probe=Network())] == ["key 0"]


def test_a_round_costs_few_queries_per_key(host: Provider, django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        store_provider_key(host, f"{SECRET}-{number}", f"key {number}")
    check_keys(probe=Network())
    ProviderKey.objects.update(checked_at=None)
    with django_assert_max_num_queries(1 + 5 * 5):  # claim, savepoint twice, verdict, history
        assert len(check_keys(probe=Network())) == 5


@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_ask_once_per_key() -> None:
    host = Provider.objects.create(slug="h", title="H", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9/v1")
    for number in range(4):
        store_provider_key(host, f"{SECRET}-{number}", f"key {number}")
    networks = [Network(), Network()]
    results: list[Any] = []
    start = threading.Barrier(2)

    def process(network: Network) -> None:
        start.wait(5)
        results.extend(check_keys(probe=network))
        connections.close_all()

    threads = [threading.Thread(target=process, args=(network,)) for network in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(result.name for result in results) == [f"key {number}" for number in range(4)]
    assert sum(len(network.calls) for network in networks) == 4
    assert KeyCheck.objects.count() == 4


def test_no_form_of_the_database_shows_a_key(key: ProviderKey, capsys: pytest.CaptureFixture[str]) -> None:
    check_keys(probe=Network(Answer(401, f'{{"error":{{"message":"no {SECRET}"}}}}'.encode())))
    check_keys([key], probe=Network(Answer(500, SECRET.encode())))
    out = io.StringIO()
    call_command("dumpdata", "llm_gateway", "django_q", "admin", stdout=out)
    assert "providerkey" in out.getvalue()
    said = capsys.readouterr()
    assert SECRET not in out.getvalue() + said.out + said.err
    assert SECRET not in repr([key, str(key), vars(key)])


def test_a_key_that_cannot_be_decrypted_says_so_and_leaves_routing(key: ProviderKey) -> None:
    ProviderKey.objects.update(ciphertext="v1.feedface.AAAA")
    network = Network()
    (result,) = check_keys(probe=network)
    assert result.state == "invalid"
    assert "feedface" in result.reason
    assert network.calls == []


def test_a_fault_of_an_adapter_ends_neither_the_round_nor_a_good_key(key: ProviderKey) -> None:
    (result,) = check_keys(probe=Network(RuntimeError("boom")))
    assert result.state == "unreachable"
    assert "RuntimeError" in result.reason
    assert ProviderKey.objects.get().checking_until is None


def test_a_host_without_a_key_is_asked_without_one(host: Provider) -> None:
    store_keyless(host)
    network = Network()
    (result,) = check_keys(probe=network)
    assert result.state == "valid"
    assert "authorization" not in network.calls[0][1]


@pytest.mark.django_db(transaction=True)
async def test_inside_an_event_loop_it_is_awaited() -> None:
    host = await Provider.objects.acreate(slug="h", title="H", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9/v1")
    key = await sync_to_async(store_provider_key)(host, SECRET)
    (result,) = await acheck_keys([key], probe=Network())
    await sync_to_async(connections.close_all)()  # those of the other thread
    assert result.state == "valid"


def test_real_calls_to_the_four_services_tell_every_state() -> None:
    load_catalogue()
    with ThreadedSimulator() as simulator:
        for slug in ("openai", "anthropic", "gemini", "fireworks"):
            Provider.objects.filter(slug=slug).update(base_url=simulator.base_url(slug), allow_private=True)
            provider = Provider.objects.get(slug=slug)
            for word in ("valid", "invalid", "noperm", "limited"):
                store_provider_key(provider, f"sim-{word}-0123456789", word)
        states = {(result.provider, result.name): result.state for result in check_keys(trigger="demand")}
    expected = {"valid": "valid", "invalid": "invalid", "noperm": "no_permission", "limited": "rate_limited"}
    for (provider, word), state in states.items():
        assert state == expected[word], (provider, word)
    assert len(states) == 16


def test_a_provider_that_does_not_listen_is_unreachable(key: ProviderKey) -> None:
    (result,) = check_keys()
    assert result.state == "unreachable"
    assert "refused the connection" in result.reason
