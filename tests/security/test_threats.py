"""Lines of docs/security.md that no other room proves: what the source must not hold, and what a
client key is worth."""

from __future__ import annotations

import ast
import re
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.core.keys import compose_client_key, public_id_of
from llm_gateway.stores import vault

ROOT = Path(__file__).resolve().parents[2]
RUNS = {"eval", "exec", "compile", "__import__"}
LOADS = {("pickle", "loads"), ("pickle", "load"), ("marshal", "loads"), ("yaml", "load"), ("os", "system"), ("os", "popen")}
# A file of the program itself, and the evaluation's own program inside its sandbox, which is text
# to these eyes.
COMPILES = {"llm_gateway/probes/sandbox.py"}


# Where SQL is written by hand: stores and what looks after the database. None of it is reached with
# words of a caller but as parameters.
BY_HAND = {
    "analytics/benchmark.py", "analytics/seeding.py", "cogo/demo/writing.py", "cogo/migrating.py", "cogo/preflight.py",
    "llm_gateway/actions/audit.py", "llm_gateway/stores/batch_queue.py", "llm_gateway/stores/batch_reading.py",
    "llm_gateway/stores/connecting.py", "llm_gateway/stores/holds.py", "llm_gateway/stores/journal.py", "llm_gateway/stores/running.py",
}  # fmt: skip


@cache
def sources() -> tuple[tuple[str, ast.Module], ...]:
    files = [file for room in ("cogo", "llm_gateway", "analytics") for file in sorted((ROOT / room).rglob("*.py"))]
    return tuple((str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))) for file in files)


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str, str]]:
    """Each call with the name it is made by, and of what."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node, "", node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node, node.func.value.id if isinstance(node.func.value, ast.Name) else "?", node.func.attr


def test_nothing_of_a_user_is_run_as_code() -> None:
    found = [
        f"{path}:{node.lineno} {of}.{name}"
        for path, tree in sources()
        for node, of, name in calls(tree)
        if ((not of and name in RUNS) or (of, name) in LOADS) and path not in COMPILES
    ]
    assert found == []
    planted = ast.parse("eval(x)\npickle.loads(y)\nre.compile(z)")
    assert [name for _, of, name in calls(planted) if (not of and name in RUNS) or (of, name) in LOADS] == ["eval", "loads"]


def test_sql_is_written_by_hand_in_few_files_and_never_from_text_of_others() -> None:
    by_hand = {
        path
        for path, tree in sources()
        for _, _, name in calls(tree)
        if name in ("execute", "executemany", "raw", "extra", "RawSQL") and "/migrations/" not in path and "/simulator/" not in path
    }
    assert by_hand == BY_HAND, "a new place: read it, then name it here"
    assert not {path for path, tree in sources() for _, _, name in calls(tree) if name in ("raw", "extra", "RawSQL")}


def test_chance_makes_no_client_key() -> None:
    signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    key, _ = compose_client_key(secrets.token_bytes(48))
    parts = key.split("_")
    for _ in range(20_000):
        text = "_".join(["cogo", *("".join(secrets.choice(signs) for _ in range(6)) + part[6:] for part in parts[1:])])
        assert text == key or public_id_of(text) is None
    assert public_id_of(key) is not None


def test_every_package_of_every_lock_has_its_hash() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert {lock.stem for lock in locks} >= {"base", "postgres", "redis", "sso", "quality", "local", "dev"}
    for lock in locks:
        entries = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8").replace("\\\n", ""), flags=re.MULTILINE)[1:]
        assert len(entries) > 20, lock.name
        for entry in entries:
            assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", entry), entry[:80]
            assert "--hash=sha256:" in entry, entry[:80]


class TestKeysOfAGateway:
    def test_keys_that_begin_alike_are_never_the_same_caller(self, gateway: Any) -> None:
        first, second = gateway.issue("first"), gateway.issue("second")
        from llm_gateway.core.errors import Unauthenticated

        of_first, of_second = gateway.gateway.identify(first), gateway.gateway.identify(second)
        assert of_first.client_key_id != of_second.client_key_id
        for text in (first[:40], first[:-1], first[: len(first) // 2] + second[len(second) // 2 :], first + "x"):
            with pytest.raises(Unauthenticated):
                gateway.gateway.identify(text)
        assert gateway.gateway.identify(first) is of_first

    def test_what_the_database_holds_of_a_key_opens_nothing(self, gateway: Any) -> None:
        from llm_gateway.core.errors import Unauthenticated
        from llm_gateway.models import ClientKey

        gateway.issue("kept")
        row = ClientKey.objects.order_by("-pk")[0]
        digest = bytes(row.digest)
        for text in (digest.hex(), f"cogo_{row.public_id}_{digest.hex()}", row.public_id, f"cogo_{row.public_id}_{'0' * 43}_{'0' * 6}"):
            with pytest.raises(Unauthenticated):
                gateway.gateway.identify(text)

    def test_an_unknown_key_costs_the_digest_that_a_known_one_does(self, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from llm_gateway.core.errors import Unauthenticated

        known = gateway.issue("known")
        wrong_secret, unknown = known[:-20] + "A" * 20, compose_client_key(secrets.token_bytes(48))[0]
        asked: list[str] = []
        real = vault.digest
        monkeypatch.setattr(vault, "digest", lambda text: (asked.append(text), real(text))[1])
        for text in (wrong_secret, unknown):
            with pytest.raises(Unauthenticated):
                gateway.gateway.identify(text)
        assert asked == [wrong_secret, unknown]
