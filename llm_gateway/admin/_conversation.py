"""A kept prompt as people read it, and as a program to send it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from llm_gateway.core import chat
from llm_gateway.core.errors import GatewayError
from llm_gateway.models import RequestLog
from llm_gateway.wires import dialects

# The one placeholder for a key; a real one is never written into a page.
KEY = "COGO_KEY"
_PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "native": "/api/ai-models/generate",
}
_OPENAI = ("from openai import OpenAI", 'OpenAI(base_url="{base}/v1", api_key=os.environ["COGO_KEY"])')
_ANTHROPIC = ("from anthropic import Anthropic", 'Anthropic(base_url="{base}", api_key=os.environ["COGO_KEY"])')
_SDK = {
    "openai_chat": (*_OPENAI, "chat.completions.create"),
    "openai_completions": (*_OPENAI, "completions.create"),
    "openai_responses": (*_OPENAI, "responses.create"),
    "anthropic_messages": (*_ANTHROPIC, "messages.create"),
}


def turns(row: RequestLog, prompt: str, answer: str) -> list[dict[str, Any]]:
    """``role`` and ``blocks`` of (kind, text). Empty when the prompt cannot be read as a conversation; it is shown as it came then."""
    found = _read(row, prompt)
    if found and answer:
        found.append({"role": "assistant", "blocks": [("answer", answer)]})
    return found


def _read(row: RequestLog, prompt: str) -> list[dict[str, Any]]:
    try:
        if prompt.lstrip().startswith("["):
            return [_turn(one["role"], one["parts"]) for one in json.loads(prompt)]
        kind = "generate" if row.dialect == "gemini_generate" else "chat"
        inbound = dialects.get(row.dialect).decode_request(prompt.encode(), {"kind": kind, "model": row.asked_model, "stream": ""})
        return [{"role": message.role, "blocks": [_block(part) for part in message.parts]} for message in inbound.chat().messages]
    except (GatewayError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        # Cut in the middle, or of another kind; the words are shown all the same.
        return []


def _turn(role: str, parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A message as the log keeps those of the native API."""
    return {"role": role, "blocks": [(str(part.get("part", "text")).replace("_", " "), str(part.get("text", part))) for part in parts]}


def _block(part: chat.Part) -> tuple[str, str]:
    match part:
        case chat.Text(text=text):
            return "text", text
        case chat.Refusal(text=text):
            return "refusal", text
        case chat.Thinking(text=text):
            return "thinking", text or "(encrypted)"
        case chat.ToolCall(name=name, arguments=arguments):
            return f"calls {name}", arguments
        case chat.ToolResult(content=content, call_id=call):
            return f"result of {call}", "\n".join(_block(one)[1] for one in content)
        case chat.Image(media_type=kind, url=url, data=data):
            return "image", url or f"{kind or 'image'}, {_size(data)}"
        case chat.Document(name=name, media_type=kind, url=url, data=data, text=text):
            return "document", text or url or f"{name or kind or 'document'}, {_size(data)}"
        case chat.Audio(format=kind, data=data):
            return "audio", f"{kind}, {_size(data)}"
        case _:
            return "other", ""


def _size(data: str | None) -> str:
    return f"{len(data or '') * 3 // 4 // 1024:,} KB"


def snippets(row: RequestLog, base: str, prompt: str = "") -> list[tuple[str, str]]:
    """(title, text) to send the request again from a shell and from Python. Without ``prompt`` a placeholder stands in its place."""
    body = _body(row, prompt)
    path = _PATHS.get(row.dialect)
    if row.dialect == "gemini_generate":
        verb = "streamGenerateContent?alt=sse" if row.stream else "generateContent"
        path = f"/v1beta/models/{row.asked_model or 'auto'}:{verb}"
    if row.kind == "embeddings" and row.dialect == "openai_chat":
        path = "/v1/embeddings"
    if row.kind == "analyze":
        path = "/api/ai-models/analyze"
    if path is None or row.kind in ("test", "count_tokens"):
        return []
    header = {"anthropic_messages": "x-api-key: ${}", "gemini_generate": "x-goog-api-key: ${}"}.get(
        row.dialect, "Authorization: Bearer ${}"
    )
    text = json.dumps(body, ensure_ascii=False)
    headers = f'-H "{header.format(KEY)}" \\\n  -H "Content-Type: application/json"'
    curl = f"curl {shlex.quote(base + path)} \\\n  {headers} \\\n  -d {shlex.quote(text)}"
    return [("curl", curl), ("Python", _python(row, base, path, body))]


def _python(row: RequestLog, base: str, path: str, body: dict[str, Any]) -> str:
    shown = _literal(body)
    if row.dialect in _SDK and path == _PATHS[row.dialect]:
        imports, client, call = _SDK[row.dialect]
        return f"import os\n\n{imports}\n\nclient = {client.format(base=base)}\nanswer = client.{call}(\n    **{shown}\n)\nprint(answer)"
    sent = f'{{"Authorization": f"Bearer {{os.environ[\'{KEY}\']}}"}}'
    return (
        f'import os\n\nimport httpx\n\nanswer = httpx.post(\n    "{base}{path}",\n    headers={sent},\n'
        f"    json={shown},\n    timeout=600,\n)\nprint(answer.text)"
    )


def _literal(value: Any) -> str:
    """A Python literal."""
    from pprint import pformat

    return pformat(value, sort_dicts=False, width=100).replace("\n", "\n    ")


def _body(row: RequestLog, prompt: str) -> dict[str, Any]:
    if prompt:
        try:
            found: Any = json.loads(prompt)
            if isinstance(found, dict):
                return found
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and row.dialect == "native":
            asked = [turn["blocks"] for turn in _read(row, prompt) if turn["role"] == "user"]
            texts = [text for blocks in asked for _, text in blocks]
            return _named(row, {"prompt": "\n".join(texts)})
    said = "YOUR PROMPT"
    match row.dialect:
        case "gemini_generate":
            return {"contents": [{"role": "user", "parts": [{"text": said}]}]}
        case "openai_responses":
            return _named(row, {"input": said})
        case "native":
            return _named(row, {"code": said, "analysis_type": "review"} if row.kind == "analyze" else {"prompt": said})
        case "openai_completions":
            return _named(row, {"prompt": said})
    if row.kind == "embeddings":
        return {"model": row.asked_model, "input": said}
    more = {"max_tokens": 1024} if row.dialect == "anthropic_messages" else {}
    return _named(row, {**more, "messages": [{"role": "user", "content": said}]})


def _named(row: RequestLog, body: dict[str, Any]) -> dict[str, Any]:
    return {"model": row.asked_model or "auto", **body, **({"stream": True} if row.stream else {})}
