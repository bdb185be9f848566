"""What every simulated provider shares: one call in, one Reply out, refusals in the provider's own words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec

from llm_gateway.simulator import faults
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.catalogue import Model
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.reply import Headers, Problem, Reply
from llm_gateway.simulator.reply_faults import problem_of
from llm_gateway.simulator.state import VERDICTS

_decode = msgspec.json.Decoder().decode


class Provider(ABC):
    """A provider of the simulator. Adding one is a file with a subclass, listed in providers/__init__.py."""

    name: ClassVar[str]
    base_path: ClassVar[str]
    also: ClassVar[tuple[str, ...]] = ()
    generation: ClassVar[tuple[str, ...]] = ()
    key_optional: ClassVar[bool] = False

    @abstractmethod
    def key(self, request: Request) -> str:
        """The key presented, or an empty string."""

    @abstractmethod
    def route(self, call: Call) -> Handler:
        """The handler of method and path. Raises Problem (unknown_path, method)."""

    @abstractmethod
    def refuse(self, problem: Problem, call: Call) -> Reply:
        """The provider's own answer to a problem."""

    @abstractmethod
    def headers(self, call: Call) -> Headers:
        """Headers that every answer of this provider carries."""

    def read(self, call: Call) -> None:
        """Fills body, model and stream from the request. Raises Problem when the body is no JSON object."""
        if call.request.method != "POST" or (not call.request.body and call.path.endswith("cancel")):
            return
        try:
            body = _decode(call.request.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Problem("bad_json") from None
        if not isinstance(body, dict):
            raise Problem("bad_json")
        call.body = body
        call.model = str(body.get("model") or "")
        call.stream = bool(body.get("stream"))

    def inner(self, path: str) -> str:
        """What follows the provider's base path; the whole path when it is served beside it."""
        for base in (self.base_path, *self.also):
            if path == base or path.startswith(base + "/"):
                rest = path[len(base) :]
                return rest.rstrip("/") if len(rest) > 1 else rest
        return path

    def generates(self, call: Call) -> bool:
        """Does this path cost money at the provider?"""
        return call.request.method == "POST" and call.path.endswith(self.generation)

    def admit(self, call: Call) -> None:
        """Key and mood. Raises Problem.

        A key is what its text says: one of VERDICTS in it, else valid. nolist is a good key that may not list models.
        """
        key, mood = call.key, call.state.personalities[self.name].state
        verdict = call.state.keys.get(key) or next((word for word in VERDICTS if word in key), "valid")
        if not key and not self.key_optional:
            raise Problem("no_key")
        if verdict in ("invalid", "expired") or mood == "unauthorized":
            raise Problem("invalid_key", key=key, code="expired" if verdict == "expired" else None)
        if verdict in ("noperm", "region"):
            raise Problem("no_permission" if verdict == "noperm" else "region", key=key)
        if verdict == "nolist" and call.path in ("/models", "/v1/models"):
            raise Problem("no_list", key=key)
        if verdict == "limited" or mood == "ratelimited":
            raise Problem("rate_limited", headers=(("retry-after", "2"),))
        if (verdict == "broke" or mood == "quota") and self.generates(call):
            raise Problem("no_money")
        if mood == "overloaded":
            raise Problem("overloaded")

    def execute(self, call: Call, request: Request) -> Reply:
        """What ``request``, a line of a batch that ``call`` looks at, is answered: as a live one by the same key."""
        line = Call(self.name, request, request.path, call.state, key=call.key)
        try:
            self.read(line)
            line.plan = call.state.plan(self.name, line.model, self.generates(line))
            if line.plan and (planned := problem_of(line.plan, line.model, line.key)):
                raise planned
            return self.route(line)(line)
        except faults.UnknownFault as error:
            return self.refuse(Problem("bad_request", str(error), param="model"), line)
        except Problem as problem:
            return self.refuse(problem, line)

    def require_model(self, call: Call) -> Model:
        """The model asked for. Raises Problem (unknown_model, retired_model)."""
        if not call.model:
            raise Problem("bad_request", "you must provide a model parameter", param="model")
        found = call.state.find_model(self.name, call.model)
        if found is None:
            raise Problem("unknown_model", model=call.model)
        if found.retired:
            raise Problem("retired_model", model=call.model)
        call.found = found
        return found
