"""The wrong lines for own passwords, invitations and the page over all changes: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_OWN = "tests/security/test_own_password.py"
_INVITED = "tests/security/test_invitations.py"
_TRAIL = "tests/admin/test_audit_page.py"

PEOPLE: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "a one-time password opens the console",
        "llm_gateway/api/own_password.py",
        "if by_session(request) and request.session.get(FLAG):",
        "if False:",
        (_OWN, "-k", "opens_nothing_but"),
    ),
    (
        "a one-time password opens the browsable API",
        "llm_gateway/api/own_password.py",
        '_CLOSED = ("/admin/", "/api/")',
        '_CLOSED = ("/admin/",)',
        (_OWN, "-k", "opens_nothing_but"),
    ),
    (
        "the first start's password is for ever",
        "llm_gateway/actions/bootstrap.py",
        "        must_change(made)",
        "        pass",
        (_OWN, "-k", "first_start_made_up"),
    ),
    (
        "who sets somebody's password keeps it",
        "llm_gateway/actions/own_password.py",
        "        must_change(instance)\n",
        "        pass\n",
        (_OWN, "-k", "set_by_somebody_else"),
    ),
    (
        "a stronger hash counts as an own password",
        "llm_gateway/actions/own_password.py",
        "if raw or instance._password is None:",
        "if raw:",
        (_OWN, "-k", "hashing_the_same"),
    ),
    (
        "the session forgets that the password is one-time",
        "llm_gateway/admin/own_password.py",
        "self.request.session.pop(FLAG, None)",
        "self.request.session.get(FLAG, None)",
        (_OWN, "-k", "everything_opens_at_once"),
    ),
    (
        "the same password again is an own one",
        "llm_gateway/admin/own_password.py",
        'if cleaned.get("old_password") and cleaned["old_password"] == cleaned.get("new_password1"):',
        "if False:",
        (_OWN, "-k", "everything_opens_at_once"),
    ),
    (
        "old passwords may be guessed",
        "llm_gateway/admin/own_password.py",
        "            count_try_of(self._request, name)\n",
        "            pass\n",
        (_OWN, "-k", "wrong_old_passwords"),
    ),
    (
        "a link that is withdrawn just now opens",
        "llm_gateway/actions/accept_invitation.py",
        "if not claimed or has_account(row.email):",
        "if has_account(row.email):",
        (_INVITED, "-k", "on_its_way"),
    ),
    (
        "an expired link opens",
        "llm_gateway/models/people.py",
        'return "open" if self.expires_at > (now or timezone.now()) else "expired"',
        'return "open"',
        (_INVITED, "-k", "all_alike"),
    ),
    (
        "a withdrawn link opens",
        "llm_gateway/models/people.py",
        '            return "withdrawn"',
        "            pass",
        (_INVITED, "-k", "all_alike"),
    ),
    (
        "links of a disabled superuser live on",
        "llm_gateway/actions/accept_invitation.py",
        "if by is None or not (by.is_active and by.is_superuser) or has_account(row.email):",
        "if by is None or has_account(row.email):",
        (_INVITED, "-k", "all_alike"),
    ),
    (
        "a link opens a second account of the same address",
        "llm_gateway/actions/accept_invitation.py",
        "if by is None or not (by.is_active and by.is_superuser) or has_account(row.email):",
        "if by is None or not (by.is_active and by.is_superuser):",
        (_INVITED, "-k", "all_alike"),
    ),
    (
        "the link stands in the session",
        "llm_gateway/api/invitation.py",
        "request.session[KEPT] = [row.pk, bytes(row.digest).hex()]",
        "request.session[KEPT] = [row.pk, bytes(row.digest).hex(), token]",
        (_INVITED, "-k", "keyed_digest"),
    ),
    (
        "links may be guessed as fast as one likes",
        "llm_gateway/api/invitation.py",
        "    count_try_of(request, counted)\n",
        "",
        (_INVITED, "-k", "guessing_links"),
    ),
    (
        "who is let in gets any role",
        "llm_gateway/actions/accept_invitation.py",
        "is_superuser=row.role == SUPERUSER",
        "is_superuser=True",
        (_INVITED, "-k", "own_password_and_into"),
    ),
    (
        "a silent mail server holds up the page",
        "llm_gateway/actions/mail_invitation.py",
        "    thread.join(clock_s)\n",
        "    thread.join()\n",
        (_INVITED, "-k", "silent_server"),
    ),
    (
        "renewing leaves no trace",
        "llm_gateway/actions/invite.py",
        '        trail.record("changed", row, changes=changes, detail="Renewed.")\n',
        "",
        (_INVITED, "-k", "each_step"),
    ),
    (
        "reading of prompts hides in the console",
        "llm_gateway/admin/_trail_filters.py",
        '"console": ("console", Q(via="console") & ~Q(action__in=(*SIGN_INS, *READINGS))),',
        '"console": ("console", Q(via="console") & ~Q(action__in=SIGN_INS)),',
        (_TRAIL, "-k", "each_origin"),
    ),
    (
        "the last day is cut off",
        "llm_gateway/admin/_trail_filters.py",
        "            end += timedelta(days=1)\n",
        "",
        (_TRAIL, "-k", "subject_and_days"),
    ),
)
