"""Alerts over real sockets: a channel that is silent, drips, redirects or is dead delays no other, and every try has its written end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from llm_gateway.actions import send_alerts as verb
from llm_gateway.actions.send_alerts import MAX_TRIES, send_alerts
from llm_gateway.models import Alert, Budget, Team
from tests.support.clock import Stopwatch

pytestmark = pytest.mark.django_db
NOW = timezone.now()
# On a busy machine a call that does answer takes most of a second.
CLOCK_S = 2.0
Talk = Callable[[socket.socket], None]


class Server:
    """Talks to each who connects in a thread of its own, until the test ends."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.over = threading.Event()
        self.visits = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                self.visits += 1
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            self._talk(peer)

    def close(self) -> None:
        self.over.set()
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], Server]]:
    made: list[Server] = []

    def start(talk: Talk) -> Server:
        made.append(Server(talk))
        return made[-1]

    yield start
    for server in made:
        server.close()
    for thread in threading.enumerate():
        if thread.name.startswith("alerts by"):
            thread.join(5)


def silent(peer: socket.socket) -> None:
    while peer.recv(4096):
        pass


def dripping(piece: bytes) -> Talk:
    def talk(peer: socket.socket) -> None:
        pause = threading.Event()
        for _ in range(600):
            peer.sendall(piece)
            pause.wait(0.05)

    return talk


def http(status: int, *headers: str, body: bytes = b"") -> Talk:
    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        lines = [f"HTTP/1.1 {status} X", *headers, f"content-length: {len(body)}", "connection: close", "", ""]
        peer.sendall("\r\n".join(lines).encode() + body)

    return talk


def mail_server(peer: socket.socket) -> None:
    """As much SMTP as a client needs to hand over letters."""
    file = peer.makefile("rwb", buffering=0)
    file.write(b"220 here\r\n")
    while line := file.readline():
        word = line[:4].upper()
        if word == b"DATA":
            file.write(b"354 go on\r\n")
            while file.readline() not in (b".\r\n", b""):
                pass
        file.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[..., None]:
    def to(*, mail: int = 0, hook: int = 0, tls: bool = False) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", mail, 3
        settings.EMAIL_USE_SSL = tls
        options = {
            "mail": bool(mail), "alert_email": "ops@example.test", "alert_webhook_private": True, "alert_webhook_secret": "not-a-secret",
            "alert_webhook_url": f"http://127.0.0.1:{hook}/x" if hook else "",
        }  # fmt: skip
        for name, value in options.items():
            monkeypatch.setitem(django_settings.COGO, name, value)

    return to


def alerts(count: int = 1) -> list[Alert]:
    team = Team.objects.create(name="T", slug="t")
    budget = Budget.objects.create(name="b", team=team, limit_nusd=10**9)
    return [
        Alert.objects.create(
            budget=budget, budget_name="b", period_id="2026-11", kind="threshold", threshold=number, limit_nusd=10**9, spent_nusd=5,
            created_at=NOW,
        )
        for number in range(50, 50 + count)
    ]  # fmt: skip


def run(**more: Any) -> Any:
    return send_alerts(NOW, clock_s=CLOCK_S, **more)


@pytest.mark.parametrize(
    ("talk", "tls"),
    [
        pytest.param(silent, False, id="silent"),
        pytest.param(silent, True, id="silent over TLS", marks=pytest.mark.slow),
        pytest.param(dripping(b"2"), False, id="drips", marks=pytest.mark.slow),
        pytest.param(dripping(b"220-x\r\n"), False, id="never comes to its point"),
    ],
)
def test_a_mail_server_that_never_ends_does_not_delay_the_webhook(serve: Any, connect: Any, talk: Talk, tls: bool) -> None:
    hook, mail = serve(http(204)), serve(talk)
    connect(mail=mail.port, hook=hook.port, tls=tls)
    rows = alerts(6)
    found = run()
    assert (found.sent, found.waiting) == (0, 6)
    assert hook.visits == 6, "the webhook has a turn of its own"
    assert mail.visits <= 1, "who is silent once is not asked again in the same run"
    for row in rows:
        row.refresh_from_db()
        assert row.delivered == ["webhook"]
        assert row.error.startswith("email: ")
        assert (row.tries, row.sent_at) == (1, None)
        assert row.next_try_at == NOW + timedelta(minutes=1)
    again = send_alerts(NOW + timedelta(minutes=2), clock_s=CLOCK_S)
    assert (again.waiting, hook.visits) == (6, 6), "what took it is not asked twice"


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (silent, "webhook: "),
        (dripping(b"H"), "webhook: "),
        (http(500), "it answered 500"),
        (http(302, "location: http://127.0.0.1:1/"), "it answered 302"),
        (lambda peer: None, "webhook: AttemptFailed"),
    ],
    ids=["silent", "drips", "500", "redirects", "hangs up"],
)  # fmt: skip
def test_a_webhook_that_fails_does_not_delay_the_mail_and_is_written_down(serve: Any, connect: Any, talk: Talk, said: str) -> None:
    hook, mail = serve(talk), serve(mail_server)
    connect(mail=mail.port, hook=hook.port)
    rows = alerts(3)
    assert run().waiting == 3
    for row in rows:
        row.refresh_from_db()
        assert row.delivered == ["email"]
    assert said in rows[0].error


def test_with_both_channels_dead_every_try_ends_and_so_do_the_tries(connect: Any) -> None:
    connect(mail=dead_port(), hook=dead_port())
    (row,) = alerts()
    results = [send_alerts(NOW + timedelta(hours=2 * n), clock_s=CLOCK_S) for n in range(MAX_TRIES + 2)]
    assert [r.waiting for r in results] == [1] * (MAX_TRIES - 1) + [0, 0, 0]
    assert sum(r.given_up for r in results) == 1
    row.refresh_from_db()
    assert row.sent_at is not None
    assert "email: " in row.error
    assert "webhook: " in row.error


def test_a_run_that_was_killed_leaves_its_beginning_and_is_given_up_in_the_end(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(hook=dead_port())
    (row,) = alerts()

    class Killed(BaseException):
        pass

    def killed(self: Any, run_s: float) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(verb._Delivery, "run", killed)
        for number in range(MAX_TRIES):
            with pytest.raises(Killed):
                send_alerts(NOW + timedelta(hours=2 * number))
    row.refresh_from_db()
    assert "has not ended" in row.error
    assert row.tries == MAX_TRIES
    send_alerts(NOW + timedelta(days=3))
    row.refresh_from_db()
    assert row.sent_at is not None
    assert row.error.startswith("given up")


def test_a_run_ends_well_before_its_task_is_killed(serve: Any, connect: Any) -> None:
    def slow(peer: socket.socket) -> None:
        threading.Event().wait(0.1)
        http(204)(peer)

    hook = serve(slow)
    connect(hook=hook.port)
    rows = alerts(30)
    watch = Stopwatch()
    found = send_alerts(NOW, clock_s=5, run_s=0.5)
    assert watch.took_s < 5
    assert 0 < found.waiting < 30
    rows[-1].refresh_from_db()
    assert rows[-1].error == "webhook: its turn did not come in this run"
    assert django_settings.Q_CLUSTER["timeout"] > verb.RUN_S + verb.CLOCK_S


def test_a_secret_that_a_server_repeats_is_not_written_down(serve: Any, connect: Any, settings: Any) -> None:
    settings.EMAIL_HOST_PASSWORD, settings.EMAIL_HOST_USER = "hunter22-and-more", "ops"

    def rude(peer: socket.socket) -> None:
        file = peer.makefile("rwb", buffering=0)
        file.write(b"220 here\r\n")
        file.readline()
        file.write(b"250-here\r\n250 AUTH PLAIN\r\n")
        file.readline()
        file.write(b"535 no such password: hunter22-and-more\r\n")
        file.readline()

    connect(mail=serve(rude).port)
    (row,) = alerts()
    run()
    row.refresh_from_db()
    assert row.error
    assert "hunter22" not in row.error
