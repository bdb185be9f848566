"""Anthropic's Messages API. https://docs.claude.com/en/api/messages"""

from llm_gateway.wires import counters, dialects, glances, renewer, renewers, unthought, wires

from . import elsewhere as elsewhere
from .dialect import AnthropicDialect, encode_count
from .glance import glance
from .names import NAME
from .request_out import will_not_think
from .wire import AnthropicMessages, MessagesCounter, decode_count
from .wire import encode_count as encode_count_request

WIRE = wires.add(NAME, AnthropicMessages())
DIALECT = dialects.add(NAME, AnthropicDialect())
counters.add(NAME, MessagesCounter())
glances.add(NAME, glance)
renewers.add(NAME, renewer("id", "msg_"))
unthought.add(NAME, will_not_think)

__all__ = ["DIALECT", "WIRE", "decode_count", "encode_count", "encode_count_request"]
