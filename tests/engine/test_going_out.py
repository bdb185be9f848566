"""How everything goes out, over real sockets: one trust store and one proxy for calls and key checks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.engine.network import Network
from llm_gateway.engine.transport import HttpUpstream, probe
from llm_gateway.policies.proxies import goes_directly


def certificate(name: str, signer: Any = None, key: Any = None) -> tuple[x509.Certificate, Any]:
    """An authority of our own, or with ``signer`` a host's certificate of it."""
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.subject if signer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    if signer:
        names = [x509.DNSName("localhost"), x509.DNSName("provider.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return built.sign(key or own, hashes.SHA256()), own


def pem(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The file of an authority nobody knows, and a server's side with a certificate of it."""
    folder = tmp_path_factory.mktemp("ca")
    root, root_key = certificate("our own authority")
    host, host_key = certificate("localhost", root, root_key)
    (folder / "ca.pem").write_bytes(pem(root))
    key = host_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "host.pem").write_bytes(key + pem(host))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "host.pem")
    return folder / "ca.pem", server


class Served:
    """Answers each connection by ``talk``, in a thread of its own."""

    def __init__(self, talk: Any) -> None:
        self.seen: list[bytes] = []
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), peer:
            peer.settimeout(10)
            self._talk(self, peer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def head_of(peer: Any) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (part := peer.recv(65536)):
        data += part
    return data


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


@pytest.fixture
def provider(authority: tuple[Path, ssl.SSLContext]) -> Iterator[Served]:
    def talk(self: Served, peer: socket.socket) -> None:
        with authority[1].wrap_socket(peer, server_side=True) as secure:
            self.seen.append(head_of(secure))
            secure.sendall(OK)

    served = Served(talk)
    yield served
    served.close()


@pytest.fixture
def plain_provider() -> Iterator[Served]:
    def talk(self: Served, peer: socket.socket) -> None:
        self.seen.append(head_of(peer))
        peer.sendall(OK)

    served = Served(talk)
    yield served
    served.close()


def proxy_to(port: int, *, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n", wanted: str = "") -> Served:
    """A proxy that leads every CONNECT to ``port`` here, whatever the name; other requests get ``answer``."""

    def talk(self: Served, peer: socket.socket) -> None:
        head = head_of(peer)
        self.seen.append(head)
        authorised = not wanted or base64.b64encode(wanted.encode()) in head
        if not authorised:
            peer.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        peer.sendall(answer)
        if b" 200 " not in answer.split(b"\r\n")[0] or not head.startswith(b"CONNECT"):
            return
        with socket.create_connection(("127.0.0.1", port)) as there:
            back = threading.Thread(target=copy, args=(there, peer), daemon=True)
            back.start()
            copy(peer, there)
            back.join(10)

    return Served(talk)


def copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


async def call(network: Network, url: str, *, private: bool = True) -> int:
    upstream = HttpUpstream(network)
    try:
        response = await upstream.send("POST", url, {"authorization": "Bearer ours"}, b"{}", connect_s=5, allow_private=private)
        await response.read()
        return response.status
    finally:
        await upstream.close()


async def check(network: Network, url: str, *, private: bool = True) -> int:
    return (await probe("GET", url, {"authorization": "Bearer ours"}, timeout_s=10, allow_private=private, network=network)).status


WAYS = pytest.mark.parametrize("way", [call, check], ids=["call", "key check"])


def failure_of(way: Any, network: Network, url: str, **options: Any) -> Failure:
    with pytest.raises(AttemptFailed) as failed:
        asyncio.run(way(network, url, **options))
    return failed.value.failure


@WAYS
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_of_an_own_authority_is_trusted_once_it_is_named(authority: Any, provider: Served, way: Any, host: str) -> None:
    url = f"https://{host}:{provider.port}/v1/models"
    failure = failure_of(way, Network(), url)
    assert failure.kind is FailureClass.TLS
    assert asyncio.run(way(Network(ca_bundles=(str(authority[0]),)), url)) == 200
    assert asyncio.run(way(Network(ca_bundles=(str(authority[0]),)), url)) == 200


@WAYS
def test_a_folder_of_certificates_is_trusted_too(authority: Any, provider: Served, way: Any, tmp_path: Path) -> None:
    import subprocess

    found = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", str(authority[0])], capture_output=True, text=True, check=True)
    (tmp_path / f"{found.stdout.strip()}.0").write_bytes(authority[0].read_bytes())
    assert asyncio.run(way(Network(ca_bundles=(str(tmp_path),)), f"https://localhost:{provider.port}/")) == 200


def test_an_own_authority_takes_nothing_from_the_system_s(authority: Any) -> None:
    own, system = Network(ca_bundles=(str(authority[0]),)).trust(), Network().trust()
    assert own.cert_store_stats()["x509_ca"] == system.cert_store_stats()["x509_ca"] + 1
    assert own.verify_mode is ssl.CERT_REQUIRED
    assert own.check_hostname


def test_the_system_s_authorities_stay_whatever_ssl_cert_file_says(authority: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its meaning to OpenSSL is “instead of”; to whoever sets it for one host of their own it is “too”."""
    from llm_gateway.engine import network

    before = Network().trust().cert_store_stats()["x509_ca"]
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    network._trust.cache_clear()
    try:
        assert Network().trust().cert_store_stats()["x509_ca"] >= before
    finally:
        network._trust.cache_clear()


def through(proxy: Served, user: str = "", no_proxy: tuple[str, ...] = (), ca: Path | None = None) -> Network:
    url = f"http://{user + '@' if user else ''}127.0.0.1:{proxy.port}"
    return Network(https_proxy=url, http_proxy=url, no_proxy=no_proxy, ca_bundles=(str(ca),) if ca else ())


@WAYS
def test_a_name_only_the_proxy_knows_is_reached_through_it_with_its_certificate_checked(authority: Any, provider: Served, way: Any) -> None:
    proxy = proxy_to(provider.port, wanted="us:p@ss/word")
    try:
        url = "https://provider.example.invalid/v1/models"
        assert failure_of(way, through(proxy, "us:p%40ss%2Fword", ca=authority[0]), url).kind is FailureClass.TLS  # another name
        # What is asked of the proxy is the name; .test is looked up by nobody else.
        assert proxy.seen[0].startswith(b"CONNECT provider.example.invalid:443 HTTP/1.1\r\n")
        assert b"Bearer ours" not in b"".join(proxy.seen)
    finally:
        proxy.close()


@WAYS
def test_a_proxy_leads_to_the_provider_and_sees_nothing_of_the_call(authority: Any, provider: Served, way: Any, monkeypatch: Any) -> None:
    proxy = proxy_to(provider.port, wanted="us:secret")
    real = asyncio.base_events.BaseEventLoop.getaddrinfo

    async def unknown(loop: Any, host: Any, port: Any, **options: Any) -> Any:
        if host == "provider.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown here")
        return await real(loop, host, port, **options)

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", unknown)
    try:
        assert asyncio.run(way(through(proxy, "us:secret", ca=authority[0]), "https://provider.example/v1/models", private=False)) == 200
        assert b"authorization: Bearer ours" in provider.seen[0]
        assert b"Bearer ours" not in proxy.seen[0]
        assert proxy.seen[0].startswith(b"CONNECT provider.example:443")
    finally:
        proxy.close()


@WAYS
@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", FailureClass.CONFIG, "another user and password"),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", FailureClass.CONFIG, "answered 403"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", FailureClass.CONNECT_REFUSED, "does not reach the provider"),
        (b"HTTP/1.1 504 Timeout\r\ncontent-length: 0\r\n\r\n", FailureClass.CONNECT_REFUSED, "does not reach the provider"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_password(way: Any, answer: bytes, kind: FailureClass, said: str) -> None:
    proxy = proxy_to(9, answer=answer)
    try:
        failure = failure_of(way, through(proxy, "us:hunter2hunter2"), "https://provider.example.invalid/v1/models")
        assert failure.kind is kind
        assert said in failure.message
        assert f"the proxy 127.0.0.1:{proxy.port}" in failure.message
        assert "hunter2" not in failure.message
    finally:
        proxy.close()


@WAYS
def test_a_proxy_that_is_not_there_is_our_own_matter(way: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        network = Network(https_proxy=f"http://127.0.0.1:{taken.getsockname()[1]}")
        failure = failure_of(way, network, "https://provider.example.invalid/v1/models")
    assert failure.kind is FailureClass.CONFIG
    assert "cannot be reached" in failure.message


@WAYS
@pytest.mark.parametrize("url", ["https://10.0.0.1/v1", "https://169.254.169.254/v1", "https://[::ffff:10.0.0.1]/v1"])
def test_a_literal_address_inside_is_refused_though_a_proxy_would_go_there(way: Any, url: str) -> None:
    proxy = proxy_to(9)
    try:
        assert failure_of(way, through(proxy), url, private=False).kind is FailureClass.CONFIG
        assert proxy.seen == []
    finally:
        proxy.close()


@WAYS
def test_a_name_that_leads_inside_by_our_own_look_is_refused_behind_a_proxy_too(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def inside(loop: Any, host: Any, port: Any, **options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port or 0))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", inside)
    proxy = proxy_to(9)
    try:
        assert failure_of(way, through(proxy), "https://inside.example/v1", private=False).kind is FailureClass.CONFIG
        assert proxy.seen == []
    finally:
        proxy.close()


@WAYS
def test_this_machine_is_never_reached_through_a_proxy(plain_provider: Served, way: Any) -> None:
    proxy = proxy_to(9)
    try:
        assert asyncio.run(way(through(proxy), f"http://127.0.0.1:{plain_provider.port}/v1/models")) == 200
        assert asyncio.run(way(through(proxy), f"http://localhost:{plain_provider.port}/v1/models")) == 200
        assert proxy.seen == []
    finally:
        proxy.close()


def test_nothing_of_the_environment_leads_out_but_what_the_settings_say(plain_provider: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for way in (call, check):
        assert asyncio.run(way(Network(), f"http://127.0.0.1:{plain_provider.port}/")) == 200


@pytest.mark.parametrize(
    ("host", "port", "entry", "direct"),
    [
        ("api.example.com", 443, "api.example.com", True), ("api.example.com", 443, "example.com", True),
        ("api.example.com", 443, ".example.com", True), ("api.example.com", 443, "*.example.com", True),
        ("api.example.com", 443, "*", True),
        ("API.Example.com.", 443, "api.example.COM", True), ("api.example.com", 443, "api.example.com:443", True),
        ("api.example.com", 8443, "api.example.com:443", False), ("notexample.com", 443, "example.com", False),
        ("api.example.com", 443, "", False), ("10.1.2.3", 443, "10.0.0.0/8", True), ("10.1.2.3", 443, "10.1.2.3", True),
        ("11.1.2.3", 443, "10.0.0.0/8", False), ("fd00::1", 443, "fd00::/8", True), ("fd00::1", 443, "[fd00::1]:443", True),
        ("fd00::1", 443, "fd00::1", True), ("10.1.2.3", 443, "2.3", False), ("localhost", 80, "", True), ("a.localhost", 80, "", True),
        ("127.9.9.9", 80, "", True), ("::1", 80, "", True), ("::ffff:127.0.0.1", 80, "", True), ("0.0.0.0", 80, "", True),
        ("::ffff:10.1.1.1", 443, "10.0.0.0/8", True), ("fd00::5", 443, "[fd00::]/8", True), ("api.example.com", 443, "example.com.", True),
    ],
)  # fmt: skip
def test_what_goes_directly(host: str, port: int, entry: str, direct: bool) -> None:
    assert goes_directly(host, port, [entry]) is direct


@pytest.mark.parametrize(("url", "proxy"), [("https://a.example/", "s"), ("http://a.example/", "p"), ("https://b.example/", "")])
def test_the_proxy_is_chosen_by_the_scheme(url: str, proxy: str) -> None:
    assert Network(https_proxy="s", http_proxy="p", no_proxy=("b.example",)).proxy_for(URL(url)) == proxy


@pytest.mark.parametrize("code", [23, 24])
def test_a_process_without_descriptors_blames_itself(code: int) -> None:
    import aiohttp

    from llm_gateway.engine.network_faults import failure_of

    for error in (OSError(code, "too many open files"), aiohttp.ClientConnectorError(None, OSError(code, "too many"))):  # type: ignore[arg-type]
        failure = failure_of(error)
        assert failure.kind is FailureClass.CONFIG
        assert "descriptor" in failure.message
