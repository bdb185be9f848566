"""Any client, any history, at hosts that refuse as the real ones do: the second turn of a tool loop, odd histories, full contexts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer
from tests.support.upstream import Upstream

# A host, and the upstream model that its preset's facts are about.
HOSTS = {
    "deepseek": ("deepseek", "host:deepseek"),
    "moonshot": ("moonshot", "kimi-k3-host:kimi"),
    "qwen": ("qwen", "host:qwen"),
    "vllm": ("vllm", "host:vllm"),
    "llamacpp": ("llamacpp", "host:llamacpp"),
    "zai": ("zai", "host:zai"),
    "groq": ("groq", "host:groq"),
    # Nothing is known of it: what every host takes.
    "unknown": ("", "host:openai"),
}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
LONG_USER = json.dumps({"device_id": "d" * 64, "account_uuid": "a" * 36, "session_id": "s" * 36})


@pytest.fixture(scope="module")
def hosts(gateway_server: GatewayServer) -> dict[str, str]:
    """Model names by host."""
    names = {}
    for name, (preset, model) in HOSTS.items():
        gateway_server.rows.provider(f"at-{name}", gateway_server.simulator.base_url("custom"), preset=preset)
        names[name] = f"at-{name}/{model}"
    gateway_server.refresh()
    return names


def ask(gateway: GatewayServer, dialect: str, body: dict[str, Any], stream: bool = False) -> Answer:
    path = {"anthropic_messages": "/v1/messages", "openai_responses": "/v1/responses"}.get(dialect, "")
    if dialect == "gemini_generate":
        path = f"/v1beta/models/{body.pop('model')}:generateContent"
    return gateway.client(dialect).send(path, body, stream)


def messages_loop(gateway: GatewayServer, model: str) -> tuple[Answer, Answer]:
    base: dict[str, Any] = {
        "model": model, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {"user_id": LONG_USER},
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Use tools."}],
        "tools": [{"name": "Read", "description": "Reads.", "input_schema": SCHEMA}],
    }  # fmt: skip
    asked = {"role": "user", "content": "Please call Read."}
    first = ask(gateway, "anthropic_messages", base | {"messages": [asked]})
    content = first.json["content"]
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
        for block in content
        if block["type"] == "tool_use"
    ]
    later = {"role": "user", "content": [{"type": "text", "text": "Beside it."}, *results]}
    return first, ask(gateway, "anthropic_messages", base | {"messages": [asked, {"role": "assistant", "content": content}, later]})


def responses_loop(gateway: GatewayServer, model: str) -> tuple[Answer, Answer]:
    base: dict[str, Any] = {
        "model": model, "instructions": "Be brief.", "store": False, "reasoning": {"effort": "low", "summary": "auto"}, "user": LONG_USER,
        "include": ["reasoning.encrypted_content"], "tools": [{"type": "function", "name": "Read", "parameters": SCHEMA}],
    }  # fmt: skip
    head = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Use tools."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "Please call Read."}]},
    ]
    first = ask(gateway, "openai_responses", base | {"input": head})
    output = first.json["output"]
    calls = [item for item in output if item["type"] == "function_call"]
    between = {"role": "developer", "content": [{"type": "input_text", "text": "Mind the time."}]}
    results = [
        {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        }
        for call in calls
    ]
    return first, ask(gateway, "openai_responses", base | {"input": [*head, *output, between, *results]})


def generate_loop(gateway: GatewayServer, model: str) -> tuple[Answer, Answer]:
    base: dict[str, Any] = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]}, "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
        "tools": [{"functionDeclarations": [{"name": "Read", "parametersJsonSchema": SCHEMA}]}],
    }  # fmt: skip
    asked = {"role": "user", "parts": [{"text": "Please call Read."}]}
    first = ask(gateway, "gemini_generate", base | {"model": model, "contents": [asked]})
    content = first.json["candidates"][0]["content"]
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    results = [{"functionResponse": {"name": one["name"], "id": one.get("id"), "response": {"result": "a"}}} for one in calls]
    contents = [asked, content, {"role": "user", "parts": results}]
    return first, ask(gateway, "gemini_generate", base | {"model": model, "contents": contents})


LOOPS = {"anthropic_messages": messages_loop, "openai_responses": responses_loop, "gemini_generate": generate_loop}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("dialect", LOOPS)
def test_the_second_turn_of_a_tool_loop_is_taken_by_every_host(
    gateway: GatewayServer, hosts: dict[str, str], dialect: str, host: str
) -> None:
    mark = gateway.mark
    first, second = LOOPS[dialect](gateway, hosts[host])
    assert first.status == 200, first.body
    assert b"Read" in first.body
    assert second.status == 200, second.body
    messages = json.loads(gateway.received(mark)[-1]["body"])["messages"]
    (called,) = [message for message in messages if message.get("tool_calls")]
    if host in ("deepseek", "moonshot"):
        assert "checks the constraints" in called["reasoning_content"] or "check the constraints" in called["reasoning_content"]
    elif host == "unknown":
        assert "reasoning_content" not in called
    at = messages.index(called)
    assert messages[at + 1]["role"] == "tool"
    assert isinstance(messages[at + 1]["content"], str)


@pytest.mark.parametrize("host", ["deepseek", "moonshot"])
def test_a_call_that_another_model_made_without_a_thought_is_taken(gateway: GatewayServer, hosts: dict[str, str], host: str) -> None:
    mark = gateway.mark
    answer = ask(
        gateway, "anthropic_messages",
        {
            "model": hosts[host], "max_tokens": 500, "tools": [{"name": "f", "input_schema": SCHEMA}],
            "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
            ],
        },
    )  # fmt: skip
    assert answer.status == 200, answer.body
    assert json.loads(gateway.received(mark)[-1]["body"])["messages"][1]["reasoning_content"] == " "


PATCH = {"type": "custom", "name": "apply_patch", "description": "Patches.", "format": {"type": "text"}}
NAMED = {"type": "custom", "name": "apply_patch"}
SOME = {"type": "allowed_tools", "mode": "required", "tools": [NAMED]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["auto", NAMED, SOME], ids=["auto", "named", "some"])
@pytest.mark.parametrize("host", ["deepseek", "vllm", "groq", "zai"])
def test_a_free_text_tool_is_a_function_where_hosts_know_nothing_else(
    gateway: GatewayServer, hosts: dict[str, str], host: str, choice: Any, stream: bool
) -> None:
    """Codex' patches, at hosts that refuse a tool that is no function."""
    turn = {"role": "user", "content": "Please call apply_patch."}
    read = {"type": "function", "name": "Read", "parameters": SCHEMA}
    called = {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "*** Begin"}
    result = {"type": "custom_tool_call_output", "call_id": "a", "output": "done"}
    body = {"model": hosts[host], "stream": stream, "tools": [PATCH, read], "tool_choice": choice, "input": [turn, called, result, turn]}
    mark = gateway.mark
    answer = ask(gateway, "openai_responses", body, stream)
    assert answer.status == 200, answer.body
    sent = json.loads(gateway.received(mark)[-1]["body"])
    assert {tool["type"] for tool in sent["tools"]} == {"function"}
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["apply_patch"] + (["Read"] if choice != SOME else [])
    history = [call for message in sent["messages"] for call in message.get("tool_calls", ())]
    assert json.loads(history[0]["function"]["arguments"]) == {"input": "*** Begin"}
    output = answer.events[-1][1]["response"]["output"] if stream else answer.json["output"]
    calls = [item for item in output if item["type"].endswith("_call") and item.get("name") == "apply_patch"]
    assert [item["type"] for item in calls] == ["custom_tool_call"] * len(calls)
    if choice != "auto":
        assert calls
        assert isinstance(calls[0]["input"], str)


THOUGHT = {"role": "assistant", "content": "Well.", "reasoning_content": "hm", "reasoning": "hm"}


@pytest.mark.parametrize("host", ["groq", "unknown"])
def test_a_host_that_takes_no_thoughts_back_gets_the_conversation_without(gateway: GatewayServer, hosts: dict[str, str], host: str) -> None:
    """On its own format a history passes as it came; some clients send what another host showed them."""
    mark = gateway.mark
    turns = [{"role": "user", "content": "go"}, THOUGHT, {"role": "user", "content": "go on"}]
    answer = gateway.client("openai_chat").send("/v1/chat/completions", {"model": hosts[host], "messages": turns}, False)
    assert answer.status == 200, answer.body
    first, second = (json.loads(entry["body"])["messages"][1] for entry in gateway.received(mark))
    assert (first, second) == (THOUGHT, {"role": "assistant", "content": "Well."})
    gateway.forget()


def test_a_host_that_wants_thoughts_back_gets_them_on_its_own_format(gateway: GatewayServer, hosts: dict[str, str]) -> None:
    mark = gateway.mark
    turns = [{"role": "user", "content": "go"}, THOUGHT, {"role": "user", "content": "go on"}]
    assert gateway.client("openai_chat").send("/v1/chat/completions", {"model": hosts["deepseek"], "messages": turns}, False).status == 200
    assert [json.loads(entry["body"])["messages"][1] for entry in gateway.received(mark)] == [THOUGHT]


@pytest.mark.parametrize("block", [{"type": "thinking", "thinking": "hm"}, {"type": "redacted_thinking"}])
def test_thinking_that_nobody_signed_goes_to_claude_once_and_then_not(gateway: GatewayServer, block: dict[str, Any]) -> None:
    """Anthropic's format, a host of it that signs nothing before, Claude now."""
    mark = gateway.mark
    said = {"role": "assistant", "content": [block, {"type": "text", "text": "Well."}]}
    messages = [{"role": "user", "content": "go"}, said, {"role": "user", "content": "go on"}]
    body = {"model": "anthropic/claude-haiku-4-5", "max_tokens": 99, "messages": messages}
    answer = ask(gateway, "anthropic_messages", body)
    assert answer.status == 200, answer.body
    first, second = (json.loads(entry["body"])["messages"][1]["content"] for entry in gateway.received(mark))
    assert (first[0], second) == (block, [{"type": "text", "text": "Well."}])
    gateway.forget()


CALL = {"type": "function_call", "call_id": "a", "name": "Read", "arguments": '{"path":"x"}'}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "done"}
GO = {"role": "user", "content": "Continue."}


# Those with the most rules between them.
@pytest.mark.parametrize("host", ["deepseek", "qwen", "llamacpp", "unknown"])
@pytest.mark.parametrize(
    "history",
    [
        pytest.param([CALL | {"arguments": '{"value": '}, OUTPUT, GO], id="broken arguments"),
        pytest.param([CALL | {"arguments": "[1]"}, OUTPUT, GO], id="arguments that are no object"),
        pytest.param([CALL | {"arguments": ""}, OUTPUT, GO], id="no arguments"),
        pytest.param([CALL, GO, OUTPUT], id="a message before the result"),
        pytest.param([CALL, CALL | {"call_id": "b"}, OUTPUT | {"call_id": "b"}, GO, OUTPUT], id="results apart"),
        pytest.param([CALL, GO], id="a result that is missing"),
        pytest.param([CALL], id="a result that is missing at the end"),
        pytest.param([CALL, OUTPUT, OUTPUT | {"output": "again"}, GO], id="two results of one call"),
        pytest.param([CALL, OUTPUT, CALL, OUTPUT, GO], id="one id in two turns"),
        pytest.param([{"role": "developer", "content": "one"}, GO, {"role": "developer", "content": "two"}], id="instructions later"),
    ],
)
def test_odd_histories_are_put_right(gateway: GatewayServer, hosts: dict[str, str], host: str, history: list[Any]) -> None:
    tools = [{"type": "function", "name": "Read", "parameters": SCHEMA}]
    body = {"model": hosts[host], "instructions": "Be brief.", "tools": tools, "input": [GO, *history]}
    answer = ask(gateway, "openai_responses", body)
    assert answer.status == 200, answer.body


def test_the_operators_facts_are_laid_over_the_presets(gateway: GatewayServer) -> None:
    from llm_gateway.models import LanguageModel, Provider

    gateway.rows.provider("own", gateway.simulator.base_url("custom"), preset="deepseek", facts={"user_limit": 10})
    model = gateway.rows.model("own", "host:free", name="own/host:free")
    gateway.refresh()
    history = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "ok"}]},
        {"role": "user", "content": "go"},
    ]
    body = {"model": "own/host:free", "max_tokens": 50, "messages": history, "metadata": {"user_id": LONG_USER}}

    def sent() -> Any:
        mark = gateway.mark
        answer = ask(gateway, "anthropic_messages", dict(body))
        assert answer.status == 200, answer.body
        return json.loads(gateway.received(mark)[-1]["body"])

    first = sent()
    assert first["messages"][1]["reasoning_content"] == "hm"
    assert len(first["user"]) == 10
    LanguageModel.objects.filter(pk=model.pk).update(facts={"extensions": ["reasoning"], "user_limit": 500})
    Provider.objects.get(slug="own").save()
    gateway.refresh()
    second = sent()
    assert second["messages"][1]["reasoning"] == "hm"
    assert "reasoning_content" not in second["messages"][1]
    assert second["user"] == LONG_USER
    # Facts that cannot be read are left out, and the provider goes on.
    LanguageModel.objects.filter(pk=model.pk).update(facts={"nonsense": 1})
    Provider.objects.get(slug="own").save()
    gateway.refresh()
    assert sent()["messages"][1]["reasoning_content"] == "hm"


def test_a_full_context_reads_as_agents_know_it_and_a_larger_window_is_tried(gateway: GatewayServer, replaying: Upstream) -> None:
    said = {"error": {"message": "Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)", "code": None}}
    replaying.serve(json.dumps(said).encode(), status=400)
    body = {"model": "up-chat/m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    refused = ask(gateway, "anthropic_messages", dict(body))
    assert (refused.status, refused.json["error"]["type"]) == (400, "invalid_request_error")
    assert refused.json["error"]["message"] == "prompt is too long: 291351 tokens > 262144 maximum"
    replaying.serve(json.dumps({"error": {"code": "1261", "message": "Prompt exceeds max length"}}).encode(), status=400)
    gateway.rows.model("up-chat", "small", name="up-chat/small", context_window=1000)
    gateway.rows.model("chat", "large", name="chat/large", context_window=100_000)
    gateway.refresh()
    estimated = ask(gateway, "anthropic_messages", body | {"model": "up-chat/small"})
    assert estimated.json["error"]["message"] == "prompt is too long: 1001 tokens > 1000 maximum"
    alias = gateway.alias("windows", ("up-chat", "small"), ("chat", "large"))
    assert ask(gateway, "anthropic_messages", body | {"model": alias}).status == 200
    gateway.forget()


CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def stream(*deltas: Any, done: bool = True) -> bytes:
    lines = [b"data: " + (one if isinstance(one, bytes) else json.dumps(CHUNK | one).encode()) + b"\n\n" for one in deltas]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def piece(delta: dict[str, Any] | None = None, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]}


def part(index: int, **fields: Any) -> dict[str, Any]:
    return piece({"tool_calls": [{"index": index, **fields}]})


TWICE = stream(
    piece({"role": "assistant", "content": "I look."}), piece(finish="stop"),
    part(0, id="a", type="function", function={"name": "f", "arguments": '{"x":1}'}), piece(finish="stop"), piece(finish="tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}},
)  # fmt: skip
UNFINISHED = stream(piece({"role": "assistant"}), part(0, id="a", type="function", function={"name": "f", "arguments": '{"x":1}'}))
NULLS = stream(piece({"role": "assistant", "content": "I "}), b"null", b"{}", piece({"content": "look."}), piece(finish="stop"))
PIECES = stream(
    piece({"role": "assistant"}), part(0, function={"name": "f"}), part(0, id="a", type="function", function={"name": "f"}),
    part(0, function={"arguments": '{"x":1}'}), piece(finish="tool_calls"),
)  # fmt: skip
MIXED = stream(
    piece({"role": "assistant"}),
    piece({"tool_calls": [{"index": at, "id": f"c{at}", "type": "function", "function": {"name": "f", "arguments": ""}} for at in (0, 1)]}),
    *(part(at, function={"arguments": text}) for at, text in ((0, '{"x"'), (1, '{"x"'), (0, ":1}"), (1, ":1}"))),
    piece(finish="tool_calls"),
)  # fmt: skip


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"])
@pytest.mark.parametrize(
    ("body", "text", "calls"),
    [(TWICE, "I look.", 1), (UNFINISHED, "", 1), (NULLS, "I look.", 0), (PIECES, "", 1), (MIXED, "", 2)],
    ids=["finished twice", "never finished", "nulls between", "a late id", "mixed calls"],
)
def test_streams_that_break_their_format_reach_every_caller_whole(
    gateway: GatewayServer, replaying: Upstream, dialect: str, body: bytes, text: str, calls: int
) -> None:
    from tests.support.reading import read

    replaying.stream(body)
    answer = gateway.ask(dialect, "up-chat/m", stream=True)
    assert answer.status == 200
    assert not answer.errors
    said = read(answer)
    assert said.text == text
    assert said.plain_calls == [("f", {"x": 1})] * calls
    assert said.finish == ("tools" if calls else "stop")
    row = gateway.row(answer)
    assert (row.state, row.finish_reason) == ("ok", "tool_calls" if calls else "stop")
    if dialect == "openai_chat":
        assert b"null\n\ndata: {}" not in answer.body
    if dialect == "anthropic_messages":
        one_block_at_a_time(answer)


def one_block_at_a_time(answer: Answer) -> None:
    """Every delta belongs to the block that is open."""
    open_now = None
    for name, data in answer.events:
        if name == "content_block_start":
            assert open_now is None
            open_now = data["index"]
        elif name == "content_block_delta":
            assert data["index"] == open_now
        elif name == "content_block_stop":
            assert data["index"] == open_now
            open_now = None
