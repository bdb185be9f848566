"""Two teams at one gateway (reliability.md T6): every address that holds an id, every list and
every filter, asked by the wrong one.

What belongs to the other team is answered as what does not exist: status, body and headers are the
same but for the id itself.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest

from tests.batches.conftest import Lane, chat
from tests.support.gateway import GatewayServer

pytestmark = pytest.mark.slow
WORD = "mine-alone-7d1"
NATIVE = "/api/ai-models"
# By the name in a path: what the first team has, and the same form of what nobody has.
Things = dict[str, tuple[str, str]]
# Names in paths that belong to nobody: the models, which both may use, and addresses that are their
# own proof.
SHARED = {"model", "token"}
FILTERS = (
    "team", "team_id", "client_key", "client_key_id", "user", "tag", "id", "after", "before_id", "pageToken", "ordering", "search",
)  # fmt: skip


@pytest.fixture
def peers(gateway: GatewayServer) -> tuple[Lane, Lane]:
    from llm_gateway.actions.create_client_key import ensure_team

    name = uuid.uuid4().hex[:8]
    scopes = ("generate", "analyze", "read")
    keys = [gateway.issue(f"{side}-{name}", team=ensure_team(f"{side}-{name}"), scopes=scopes) for side in ("own", "peer")]
    return Lane(gateway, keys[0]), Lane(gateway, keys[1])


def things_of(own: Lane) -> Things:
    """One of each that the API makes."""
    answer = own.post("/v1/responses", json={"model": "chat/echo", "input": WORD, "store": True, "user": WORD}).json()
    file = own.upload([chat(1, metadata={"x": WORD})]).json()["id"]
    batch = own.create([chat(1)]).json()["id"]
    params = {"model": "claude/echo", "max_tokens": 8, "messages": [{"role": "user", "content": WORD}]}
    message = own.post("/v1/messages/batches", json={"requests": [{"custom_id": "m", "params": params}]}).json()["id"]
    body = {
        "batch": {
            "displayName": WORD,
            "inputConfig": {"requests": {"requests": [{"request": {"contents": [{"parts": [{"text": WORD}]}]}}]}},
        }
    }
    gemini = own.post("/v1beta/models/gem/echo:batchGenerateContent", json=body).json()["name"].removeprefix("batches/")
    native = own.post(
        f"{NATIVE}/batches", json={"prompt": "Write {what}.", "rows": [{"what": WORD}], "defaults": {"model": "chat/echo"}}
    ).json()
    nobody = "0" * 32
    return {
        "response_id": (answer["id"], f"resp_{uuid.uuid4().hex}"),
        "/v1/files": (file, f"file-{nobody}"),
        "/v1beta/files": (file.removeprefix("file-"), nobody),
        "/v1/batches": (batch, f"batch_{nobody}"),
        "/v1/messages/batches": (message, f"msgbatch_{nobody}"),
        "/v1beta/batches": (gemini, nobody),
        "native": (str(native["id"]), f"batch_{nobody}"),
    }


def routes() -> list[tuple[str, str]]:
    """Every route of the compatible APIs, as the schema tells it."""
    from llm_gateway.api.compat._described import ROUTES

    return list(ROUTES)


def of_path(things: Things, path: str) -> tuple[str, str]:
    name = re.findall(r"\{(\w+)\}", path)[0]
    return things[name] if name in things else things[path.partition("/{")[0]]


def told(answer: Any, asked: str) -> tuple[int, str, set[str]]:
    """What an answer says, without the id that was asked for and what differs from one request to
    the next."""
    text = answer.text.replace(asked, "ID")
    text = re.sub(r"req_[0-9a-zA-Z]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}", "REQUEST", text)
    return answer.status_code, text, {name.lower() for name in answer.headers}


def test_whatever_has_an_id_is_missing_for_the_other_team(peers: tuple[Lane, Lane]) -> None:
    own, peer = peers
    things = things_of(own)
    paths = [(method, path) for method, path in routes() if set(re.findall(r"\{(\w+)\}", path)) - SHARED]
    paths += [
        ("GET", f"{NATIVE}/batches/{{native}}"), ("GET", f"{NATIVE}/batches/{{native}}/results"),
        ("GET", f"{NATIVE}/batches/{{native}}/files.zip"), ("POST", f"{NATIVE}/batches/{{native}}/cancel"),
        ("POST", f"{NATIVE}/batches/{{native}}/retry-failed"),
    ]  # fmt: skip
    assert len(paths) >= 24
    for method, path in paths:
        theirs, nobodys = of_path(things, path)
        place = re.sub(r"\{\w+\}", "%s", path)
        answers = [
            told(peer.gateway.http.request(method, place % one, headers=peer._headers, json={} if method == "POST" else None), one)
            for one in (theirs, nobodys)
        ]
        assert answers[0] == answers[1], (method, path)
        assert answers[0][0] in (400, 404, 405), (method, path, answers[0])
        assert WORD not in answers[0][1]
    # Nothing of it was touched: its owner still finds each of them.
    for path, (theirs, _) in things.items():
        place = {"response_id": "/v1/responses", "native": f"{NATIVE}/batches"}.get(path, path)
        assert own.get(f"{place}/{theirs}").status_code == 200, path


def test_ids_in_bodies_are_missing_as_well(peers: tuple[Lane, Lane]) -> None:
    own, peer = peers
    things = things_of(own)
    made = own.post(f"{NATIVE}/generate", json={"prompt": WORD, "model": "chat/echo"}).json()
    for path, body, (theirs, nobodys) in (
        ("/v1/responses", {"model": "chat/echo", "input": "go on", "previous_response_id": "ID"}, things["response_id"]),
        ("/v1/batches", {"input_file_id": "ID", "endpoint": "/v1/chat/completions", "completion_window": "24h"}, things["/v1/files"]),
        (
            "/v1beta/models/gem/echo:batchGenerateContent",
            {"batch": {"displayName": "x", "inputConfig": {"fileName": "files/ID"}}},
            things["/v1beta/files"],
        ),
        (f"{NATIVE}/feedback", {"request_id": "ID", "score": 1, "rating": "up"}, (made["id"], str(uuid.uuid4()))),
    ):
        sent = json.dumps(body)
        answers = [
            told(peer.gateway.http.post(path, headers=peer._headers, json=json.loads(sent.replace("ID", one))), one)
            for one in (theirs, nobodys)
        ]
        assert answers[0] == answers[1], path
        assert 400 <= answers[0][0] < 500, (path, answers[0])
        assert WORD not in answers[0][1]


def test_lists_filters_and_pages_hold_nothing_of_the_other_team(peers: tuple[Lane, Lane]) -> None:
    own, peer = peers
    things = things_of(own)
    own.post(f"{NATIVE}/generate", json={"prompt": WORD, "model": "chat/echo", "user": WORD})
    own.gateway.quiet()
    team = own.gateway.gateway.identify(own.key)
    lists = [path for method, path in routes() if method == "GET" and not re.search(r"\{", path) and "models" not in path]
    lists += [f"{NATIVE}/batches", f"{NATIVE}/performance/results"]
    assert len(lists) >= 6
    ids = {one for one, _ in things.values()}
    filters = ["", *(f"?{name}={value}" for name in FILTERS for value in (team.team_id, team.team, WORD, things["/v1/batches"][0]))]
    for path in lists:
        assert any(one in own.get(path).text for one in ids) or path.endswith("results"), f"{path} has something to hide"
        for query in filters:
            answer = peer.get(f"{path}{query}")
            assert answer.status_code < 500, (path, query)
            text = answer.text.replace(query.partition("=")[2] or "\0", "")
            assert WORD not in text, (path, query)
            assert not any(one in text for one in ids), (path, query)


def test_an_idempotency_key_of_the_other_team_is_a_new_one(peers: tuple[Lane, Lane]) -> None:
    own, peer = peers
    body = {"model": "chat/echo", "messages": [{"role": "user", "content": WORD}]}

    def ask(lane: Lane) -> Any:
        return lane.gateway.http.post("/v1/chat/completions", headers=lane._headers | {"Idempotency-Key": "the-same-7"}, json=body)

    one, other = ask(own), ask(peer)
    assert one.status_code == other.status_code == 200
    assert one.json()["id"] != other.json()["id"]
    again = ask(own)
    assert again.json()["id"] == one.json()["id"]
