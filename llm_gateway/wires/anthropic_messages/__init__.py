"""Anthropic's Messages API. https://docs.claude.com/en/api/messages"""

from llm_gateway.wires import Format, formats, renewer

from . import elsewhere
from .dialect import AnthropicDialect
from .glance import glance
from .limits import LIMITS
from .names import NAME
from .request_out import will_not_think
from .wire import AnthropicMessages, MessagesCounter

WIRE = AnthropicMessages()
DIALECT = AnthropicDialect()
FORMAT = formats.add(
    NAME,
    Format(
        name=NAME,
        wire=WIRE,
        dialect=DIALECT,
        limits=LIMITS,
        counter=MessagesCounter(),
        glance=glance,
        renewer=renewer("id", "msg_"),
        unthought=will_not_think,
        elsewhere=elsewhere.read,
    ),
)

__all__ = ["DIALECT", "FORMAT", "WIRE"]
