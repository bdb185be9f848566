"""A request of another dialect, held to a wire's limits before the encoder writes it.

What a caller asks just now is refused by name where the wire cannot take it; what stands in the
history, which nobody can take back, becomes text. On its own wire a request passes as it is.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from llm_gateway.core.chat import (
    Audio,
    ChatRequest,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.errors import UnsupportedParameter

from . import _tiers
from ._elsewhere import parts_elsewhere
from ._keys import fitted_keys, renamed_arguments
from ._limits import Limits, fitting_id, fitting_name, fitting_user
from ._media import identified, is_public
from ._order import answered
from ._schemas import answer_schema, is_open, tool_parameters

BILLING_MARK = "x-anthropic-billing-header:"

replace = msgspec.structs.replace


def fit(chat: ChatRequest, held: Limits, issuer: str = "", place: str = "messages[{}]") -> ChatRequest:
    """``issuer``: whose thinking the target takes back. ``place``: where a message's content lies.

    Raises :class:`UnsupportedParameter` naming the field.
    """
    if chat.origin == held.wire:
        return chat
    _check_said(chat.messages, held, place)
    wanted = chat.response_format
    if wanted is not None and wanted.schema is not None and not is_open(wanted.schema, held):
        wanted = replace(wanted, schema=answer_schema(wanted.schema, held))
    return replace(
        chat,
        messages=tuple(answered(_History(held, issuer, place, chat.tools).fitted(chat.messages))),
        tools=tuple(_tool(tool, held) for tool in chat.tools),
        tool_choice=_choice(chat.tool_choice, held),
        max_tokens=None if chat.max_tokens is None else max(chat.max_tokens, held.least_output),
        response_format=wanted,
        user=fitting_user(chat.user, held),
        service_tier=_tiers.asked(held.wire, chat.service_tier),
    )


def _tool(tool: Tool, held: Limits) -> Tool:
    if tool.builtin:
        return tool
    name = fitting_name(tool.name, held)
    if tool.custom:
        return replace(tool, name=name)
    return replace(tool, name=name, parameters=tool_parameters(tool.parameters, held))


def _choice(choice: ToolChoice | None, held: Limits) -> ToolChoice | None:
    if choice is None:
        return None
    name = None if choice.name is None else fitting_name(choice.name, held)
    return replace(choice, name=name, allowed=tuple(fitting_name(one, held) for one in choice.allowed))


def _check_said(messages: tuple[Message, ...], held: Limits, place: str) -> None:
    """The turn to answer says something; an empty one in the history is nothing to anybody."""
    if not messages:
        raise UnsupportedParameter("There is no message to answer; send at least one.", param="messages")
    if held.empty_text or messages[-1].role == "assistant":
        return
    led = next((at for at, message in enumerate(messages) if message.role != "system"), 0)
    for message in reversed(messages[led:]):
        if message.role == "assistant":
            break
        if any(not isinstance(part, Text) or part.text.strip() for part in message.parts):
            return
    where = place.format(len(messages) - 1)
    raise UnsupportedParameter(f"`{where}` is empty; this provider answers only a message with some text.", param=where)


class _History:
    """``_ids``: calls without an answer, by the caller's id: an id that comes again means another
    call. ``_shown``: what the model showed and its own turn cannot hold, for the user's next turn.
    ``_keys``: by tool, the names of arguments that the wire takes in place of the caller's."""

    def __init__(self, held: Limits, issuer: str, place: str, tools: tuple[Tool, ...]) -> None:
        self._held = held
        found = {tool.name: fitted_keys(tool.parameters, held) for tool in tools if not tool.custom and not tool.builtin}
        self._keys = {name: keys for name, keys in found.items() if keys}
        self._place = place
        self._issuer = issuer
        self._used: set[str] = set()
        self._open: dict[str, list[str]] = {}
        self._last: dict[str, str] = {}
        self._shown: list[Part] = []

    def fitted(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        asked_from = max((at for at, message in enumerate(messages) if message.role == "assistant"), default=-1)
        found = []
        for at, message in enumerate(messages):
            where = self._place.format(at)
            match message.role:
                case "system":
                    parts = self._system(message.parts)
                    if message.parts and not parts:
                        continue
                case "user":
                    parts = [*self._user(message.parts, where, asked=at > asked_from)]
                case "assistant":
                    parts = self._assistant(message.parts)
                case _:
                    assert_never(message.role)
            found.append(replace(message, parts=tuple(parts)))
        if self._shown:
            found.append(Message(role="user", parts=tuple(self._shown)))
        return tuple(found)

    def _system(self, parts: tuple[Part, ...]) -> list[Part]:
        known = [one for part in parts for one in self._known(part, "", asked=False)]
        return [_note(one) if isinstance(one, Image | Document | Audio) else one for one in known if not _for_billing(one)]

    def _user(self, parts: tuple[Part, ...], where: str, asked: bool) -> list[Part]:
        found: list[Part] = []
        for part in parts:
            if isinstance(part, ToolResult):
                found.append(self._result(part))
                continue
            for one in self._known(part, where, asked):
                match one:
                    case ToolCall():
                        found.append(self._call(one))
                    case Thinking():
                        found += self._thinking(one)
                    case _:
                        found.append(self._medium(one, where, asked))
        if self._shown and not any(isinstance(part, ToolResult) for part in found):
            found = [*self._shown, *found]
            self._shown = []
        return found

    def _assistant(self, parts: tuple[Part, ...]) -> list[Part]:
        found: list[Part] = []
        retold = False
        for part in parts:
            known = self._known(part, "", asked=False)
            # What is told in words begins a line, and what follows it another: some formats join a
            # turn's texts.
            retold, before = known != (part,), retold
            for one in known:
                if isinstance(one, ToolCall):
                    found.append(self._call(one))
                elif isinstance(one, Thinking):
                    found += self._thinking(one)
                elif isinstance(one, ToolResult):
                    found.append(self._result(one))
                elif isinstance(one, Image | Document | Audio) and not self._held.shown_by_model:
                    kept = self._medium(one, "", asked=False)
                    found.append(Text(text="[The model showed a file here.]") if not isinstance(kept, Text) else kept)
                    if not isinstance(kept, Text):
                        self._shown += [Text(text="The file that the model showed:"), kept]
                elif isinstance(one, Text) and (retold or before) and found and isinstance(found[-1], Text):
                    found.append(replace(one, text=f"\n{one.text}"))
                else:
                    found.append(self._medium(one, "", asked=False))
        return found

    def _known(self, part: Part, where: str, asked: bool) -> tuple[Part, ...]:
        """The part in words that every format has."""
        if not isinstance(part, Opaque) or part.wire == self._held.wire:
            return (part,)
        try:
            return parts_elsewhere(part.wire, part.raw, asked)
        except UnsupportedParameter as error:
            raise UnsupportedParameter(error.message, param=where or "messages") from None

    def _call(self, call: ToolCall) -> ToolCall:
        wanted = unique = fitting_id(call.id, self._held)
        number = 1
        while unique in self._used:
            number += 1
            unique = fitting_id(f"{wanted}_{number}", self._held)
        self._used.add(unique)
        self._open.setdefault(call.id, []).append(unique)
        self._last[call.id] = unique
        issued = call.issuer is None or call.issuer == self._issuer
        keys = self._keys.get(call.name)
        arguments = renamed_arguments(call.arguments, keys) if keys and not call.custom else call.arguments
        name = fitting_name(call.name, self._held)
        return replace(call, id=unique, name=name, arguments=arguments, signature=call.signature if issued else None)

    def _result(self, result: ToolResult) -> ToolResult:
        waiting = self._open.get(result.call_id)
        call_id = waiting.pop(0) if waiting else self._last.get(result.call_id) or fitting_id(result.call_id, self._held)
        content = [self._medium(one, "", asked=False) for part in result.content for one in self._known(part, "", asked=False)]
        if result.is_error:
            content = self._failed(content)
        name = None if result.name is None else fitting_name(result.name, self._held)
        return replace(result, call_id=call_id, name=name, content=tuple(content))

    def _failed(self, content: list[Part]) -> list[Part]:
        """The mark of a failure stays in every form: in words where the format has no field for
        it."""
        if self._held.failed_is_text:
            content = [_note(part) if isinstance(part, Image | Document | Audio) else part for part in content]
        if self._held.marks_failure:
            return content
        at = next((at for at, part in enumerate(content) if isinstance(part, Text)), None)
        if at is None:
            return [Text(text="Error: the tool call failed."), *content] if content else content
        first = content[at]
        assert isinstance(first, Text)
        if not first.text.lstrip(" [(*<#").lower().startswith("error"):
            content[at] = replace(first, text=f"Error: {first.text}")
        return content

    def _thinking(self, part: Thinking) -> tuple[Part, ...]:
        """Tokens go back only to whom they came from; another provider gets the conversation
        without them."""
        if part.wire == self._held.wire and part.issuer is not None and part.issuer != self._issuer:
            return ()
        return (part,)

    def _medium(self, part: Part, where: str, asked: bool) -> Part:
        """A picture, a document or a sound as the wire takes it; else an error, or in the history a
        note."""
        if not isinstance(part, Image | Document | Audio):
            return part
        part = identified(part)
        why = _refused(part, self._held)
        if why is None:
            return part
        if asked:
            raise UnsupportedParameter(why, param=where)
        return _note(part)


def _refused(part: Image | Document | Audio, held: Limits) -> str | None:
    """Why the wire does not take it."""
    if isinstance(part, Audio):
        if not held.sounds:
            return "This provider takes no audio."
        return None if part.format in held.sounds else f"This provider takes audio as {_listed(held.sounds)}, not as {part.format[:80]}."
    if isinstance(part, Document) and part.text is not None:
        return None
    if part.file_id is not None:
        return "A file id is known only to the service that gave it; send the file's content."
    kind, known = ("image", held.images) if isinstance(part, Image) else ("document", held.documents)
    if part.data is None:
        if kind not in held.by_address:
            return f"This provider takes no {kind}s by URL; send the content as base64."
        if held.public_only and not is_public(part.url or ""):
            return "This provider fetches only public https addresses; send the content as base64."
        return None
    if part.media_type is None or part.media_type in known:
        return None
    return f"This provider takes {kind}s of type {_listed(known)}, not {part.media_type[:80]}; convert it."


def _for_billing(part: Part) -> bool:
    """Claude Code's note to Anthropic, with a number that changes in every request: in front of a
    prompt it would spoil every other provider's prompt cache."""
    return isinstance(part, Text) and part.text.lstrip().startswith(BILLING_MARK)


def _listed(words: frozenset[str]) -> str:
    *most, last = sorted(words)
    return f"{', '.join(most)} or {last}" if most else last


def _note(part: Any) -> Text:
    """What is left of a medium that the wire does not take."""
    if isinstance(part, Document) and part.text is not None:
        return Text(text=part.text, cache=part.cache)
    kind = "picture" if isinstance(part, Image) else "sound" if isinstance(part, Audio) else "document"
    about = part.format if isinstance(part, Audio) else ", ".join(
        str(one) for one in (getattr(part, "name", None), part.media_type, part.url, part.file_id) if one
    )  # fmt: skip
    return Text(text=f"[A {kind} stood here{f' ({about[:500]})' if about else ''}; this model cannot read it.]")
