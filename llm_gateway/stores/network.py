"""The way out that the settings describe, for whoever makes a transport."""

from __future__ import annotations

from django.conf import settings

from llm_gateway.engine.network import Network


def network() -> Network:
    given = settings.COGO
    return Network(
        ca_bundles=tuple(given.get("ca_bundles", ())),
        https_proxy=given.get("https_proxy", ""),
        http_proxy=given.get("http_proxy", ""),
        no_proxy=tuple(given.get("no_proxy", ())),
    )
