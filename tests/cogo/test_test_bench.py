"""The bench that every other test stands on."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.conftest import OutsideNetwork


def test_settings_live_in_a_folder_of_their_own():
    assert Path(settings.VAR_DIR) != settings.BASE_DIR / "var"
    assert (settings.VAR_DIR / "secrets" / "secret_key").exists()
    assert settings.COGO_ENVIRONMENT == {}
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "cogo.settings"


def test_a_connection_that_leaves_the_machine_is_refused():
    with pytest.raises(OutsideNetwork), socket.socket() as out:
        out.connect(("192.0.2.1", 80))
    with pytest.raises(OutsideNetwork):
        socket.getaddrinfo("example.com", 443)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nobody.invalid", 443)


def test_loopback_connections_pass():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=2):
        pass


@pytest.mark.django_db(transaction=True)
def test_another_thread_writes_while_this_one_reads():
    from django.contrib.auth import get_user_model

    def write():
        get_user_model().objects.create(username="thread")
        connection.close()

    assert get_user_model().objects.count() == 0
    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert get_user_model().objects.count() == 1
