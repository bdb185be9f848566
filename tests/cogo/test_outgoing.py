"""What the settings say of the way out, and how a wrong word is told."""

from __future__ import annotations

import pytest

from cogo import outgoing
from cogo.outgoing import OutgoingTrouble
from llm_gateway.stores.network import network
from tests.cogo.test_one_line_errors import serve


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("", ""), ("none", ""), ("Direct", ""), (" http://proxy:3128 ", "http://proxy:3128"), ("proxy.example:3128", "http://proxy.example:3128"),
        ("http://us:p%40ss@proxy:3128/", "http://us:p%40ss@proxy:3128/"), ("https://proxy", "https://proxy"),
    ],
)  # fmt: skip
def test_a_proxy_is_read_as_people_write_it(text, proxy):
    assert outgoing.proxy("COGO_PROXY", text) == proxy


@pytest.mark.parametrize(
    "text", ["socks5://proxy:1080", "http://", "http://us:hunter2@pr oxy:x", "http://us:hunter2/x@proxy", "http://proxy/path"]
)
def test_a_proxy_that_cannot_be_read_is_told_without_its_password(text):
    with pytest.raises(OutgoingTrouble, match="HTTPS_PROXY") as raised:
        outgoing.proxy("HTTPS_PROXY", text)
    assert "hunter2" not in str(raised.value)


def test_certificates_that_are_none_are_told(tmp_path):
    (tmp_path / "notes.pem").write_text("no certificate")
    for path, said in ((tmp_path / "notes.pem", "holds no certificate"), (tmp_path / "nowhere.pem", "cannot be read")):
        with pytest.raises(OutgoingTrouble, match=said):
            outgoing.trusted("COGO_CA_BUNDLE", str(path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutgoingTrouble, match="a folder without certificates"):
        outgoing.trusted("COGO_CA_BUNDLE", str(tmp_path / "empty"))


def test_a_start_with_a_wrong_way_out_is_refused_in_one_line(tmp_path):
    assert "COGO_CA_BUNDLE names /nowhere.pem, which cannot be read" in serve(tmp_path, COGO_CA_BUNDLE="/nowhere.pem")


def test_the_settings_reach_whoever_goes_out(settings):
    settings.COGO = {**settings.COGO, "https_proxy": "http://proxy:1", "no_proxy": ("inside.example",), "ca_bundles": ("/ca.pem",)}
    found = network()
    assert (found.https_proxy, found.no_proxy, found.ca_bundles) == ("http://proxy:1", ("inside.example",), ("/ca.pem",))
