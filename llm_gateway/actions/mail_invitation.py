"""Mail an invitation's link, where mail is configured. One try with a clock; the page shows the link in any case."""

from __future__ import annotations

import threading

from django.conf import settings

from llm_gateway.core.redact import redact
from llm_gateway.models import Invitation

from ._channels import Letter, Mail

CLOCK_S = 12.0
_TEXT = """Hello {name},

{by} invites you to the console of COGO LLM Gateway as {role}.

Open this link within seven days and choose a password:

{link}

It opens once. If you did not expect this, do nothing.
"""


def mail_invitation(row: Invitation, link: str, by: str, *, clock_s: float = CLOCK_S) -> str:
    """Empty when a server took it; else a sentence on why nobody was mailed."""
    if not settings.COGO["mail"]:
        return "Mail is not configured (COGO_EMAIL_URL), so nobody was mailed."
    text = _TEXT.format(name=row.name, by=by, role=row.role, link=link)
    letter = Letter(alert=0, subject="Your invitation to COGO LLM Gateway", text=text, to=(row.email,), body=b"", stamp="")
    channel, ends = Mail(), []

    def deliver() -> None:
        try:
            channel.send(letter)
        except Exception as error:  # whatever a mail server does is told, and the link is on the page
            ends.append(f"It could not be mailed: {redact(str(error) or type(error).__name__, limit=200)}")
        else:
            ends.append("")

    thread = threading.Thread(target=deliver, name="mails an invitation", daemon=True)
    thread.start()
    thread.join(clock_s)
    if not ends:
        channel.hang_up()
        return f"The mail server did not answer within {clock_s:.0f} seconds."
    return ends[0]
