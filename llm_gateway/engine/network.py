"""How everything goes out: whom we trust and which proxy we take. One answer for calls, key checks and webhooks."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

import msgspec
from yarl import URL

from llm_gateway.policies.proxies import goes_directly


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """``ca_bundles``: PEM files and folders trusted beside the system's; proxies as URLs, empty for none."""

    ca_bundles: tuple[str, ...] = ()
    https_proxy: str = ""
    http_proxy: str = ""
    no_proxy: tuple[str, ...] = ()

    def proxy_for(self, target: URL) -> str:
        """The proxy to ask for ``target``, empty where it is reached directly."""
        proxy = self.https_proxy if target.scheme == "https" else self.http_proxy
        return "" if not proxy or goes_directly(target.host or "", target.port or 0, self.no_proxy) else proxy

    def trust(self) -> ssl.SSLContext:
        return _trust(self.ca_bundles)


@lru_cache(maxsize=8)
def _trust(bundles: tuple[str, ...]) -> ssl.SSLContext:
    """The system's store whatever SSL_CERT_FILE says, and ``bundles`` beside it. Building one reads hundreds of certificates."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    system = [place for place in (file, folder) if place.exists()]
    if not system:
        import certifi

        system = [Path(certifi.where())]
    for place in (*system, *map(Path, bundles)):
        if place.is_dir():
            context.load_verify_locations(capath=str(place))
        else:
            context.load_verify_locations(cafile=str(place))
    if bundles:
        # Certificates that people make themselves often lack what the strict reading of RFC 5280 wants.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    return context


def shown(proxy: str) -> str:
    """A proxy as errors name it: without its password."""
    url = URL(proxy)
    return f"{url.host}:{url.port}"
