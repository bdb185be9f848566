"""One file per service: where it lives, how it is authenticated, its quirks and caps, its unbilled
key check, its model facts.

A file registers one :class:`Service`; nothing else in the gateway knows its name.
"""

from llm_gateway.core.registry import Registry

from ._base import Probe, Service, ServiceFacts, join_url

services: Registry[Service] = Registry("service", __name__)

__all__ = ["Probe", "Service", "ServiceFacts", "join_url", "services"]
