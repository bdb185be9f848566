"""How a request is sent: whole or streamed, with or without what was signed in its history."""

from __future__ import annotations

from typing import NamedTuple

from llm_gateway.core.errors import Failure
from llm_gateway.policies import retry
from llm_gateway.policies.thinking import refuses_thinking

from .attempt import Attempt


class Form(NamedTuple):
    """How a request is sent. A provider that refuses the form and not the request gets it once more in another one."""

    streamed: bool = False
    bare: bool = False

    def instead(self, failure: Failure, attempt: Attempt, attempts: int) -> Form | None:
        if failure.code == "stream_required" and not attempt.prepared.streamed:
            # The provider wants long answers streamed (its cap moved): the same request again, as a stream.
            return self._replace(streamed=True)
        if refuses_thinking(failure) and not self.bare and attempts < retry.MAX_ATTEMPTS:
            # It cannot read thinking of the history that it did not make, or no longer can: once more without any.
            return self._replace(bare=True)
        return None
