"""Let somebody in for whom an identity provider vouches: find or make their account, and give it
the roles that the claims are worth.

What the provider gave it also takes away: at the next sign-in without the claim. Roles that a
superuser gave here stay. An account is found by the provider's own id of the person; by mail
address only once, and never one of a superuser unless the operator maps a claim to that.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from llm_gateway.models import SUPERUSER, ExternalIdentity, SpentState, trail
from llm_gateway.policies.sign_on import Person, SignOn, SignOnRefused, not_believed

from . import ActionError
from .accept_invitation import accept_invitation, invitation_for

SPENT_FOR = timedelta(hours=1)
BY = "single sign-on"
_NOBODY = "There is no role for you here. Ask whoever runs the gateway to let you in."


def settings_of_sign_on() -> SignOn | None:
    """``None``: it is not set up."""
    found: SignOn | None = django_settings.COGO.get("sign_on")
    return found


def spend(state: str, now: datetime | None = None) -> None:
    """This sign-in has come back. Raises :class:`SignOnRefused` for one that came back before, in
    whichever worker."""
    now = now or timezone.now()
    SpentState.objects.filter(at__lt=now - SPENT_FOR).delete()
    try:
        with transaction.atomic():
            SpentState.objects.create(digest=hashlib.sha256(state.encode()).hexdigest(), at=now)
    except IntegrityError:
        raise not_believed("The answer came a second time.") from None


def admit(person: Person, settings: SignOn, address: str = "", now: datetime | None = None) -> Any:
    """The account, with the roles that it has from now on. Raises :class:`SignOnRefused`; what was
    taken away before stays away."""
    now = now or timezone.now()
    with trail.acting(trail.Actor(name=BY, via="console", address=address)):
        try:
            with transaction.atomic():
                identity = _identity(person, settings, now)
                _settle(identity, person.roles)
                ExternalIdentity.objects.filter(pk=identity.pk).update(last_at=now)
        except IntegrityError:  # a twin of a first sign-in
            raise SignOnRefused("Somebody signed in with your address this very moment; try again.", "A twin was faster.") from None
    user = identity.user
    if not user.is_staff:
        raise SignOnRefused(_NOBODY, "No claim is worth a role.")
    return user


def note_refusal(refused: SignOnRefused, address: str, who: str = "") -> None:
    """Into the audit trail. ``who``: the verified address, where it is known."""
    by = trail.Actor(name="", via="console", address=address)
    trail.record("sign-in failed", who=by, name=who or "no account", detail=f"Single sign-on: {refused.reason}")


def _identity(person: Person, settings: SignOn, now: datetime) -> ExternalIdentity:
    known = (
        ExternalIdentity.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(issuer=settings.issuer, subject=person.subject)
        .first()
    )
    if known is not None:
        _check_active(known.user)
        return known
    user = _account(person, settings, now)
    return ExternalIdentity.objects.create(user=user, issuer=settings.issuer, subject=person.subject, created_at=now, last_at=now)


def _account(person: Person, settings: SignOn, now: datetime) -> Any:
    """The one that this person gets at the first sign-in."""
    users = get_user_model()._default_manager
    found = list(users.filter(Q(username__iexact=person.email) | Q(email__iexact=person.email))[:2])
    if len(found) > 1:
        raise SignOnRefused("Several accounts have your mail address; ask a superuser.", "Several accounts have the mail address.")
    if found:
        user = found[0]
        _check_active(user)
        if user.is_superuser and not settings.gives_superuser:
            raise SignOnRefused(
                "Your account is a superuser's, which single sign-on does not open here. Use your password.",
                "The account is a superuser's, and no claim is mapped to superuser.",
            )
        if user.identities.filter(issuer=settings.issuer).exists():
            raise SignOnRefused(
                "Your mail address belongs to another person's account.", "The account is linked to another subject of this provider."
            )
        return user
    invited = invitation_for(person.email, now)
    if invited is not None and (invited.role != SUPERUSER or settings.gives_superuser):
        try:
            return accept_invitation(invited, None, now)
        except ActionError:
            raise SignOnRefused("Your invitation was used or withdrawn this very moment.", "The invitation closed.") from None
    if not person.roles:
        raise SignOnRefused(_NOBODY, "No claim is worth a role, and there is no account and no invitation.")
    first, _, last = person.name.partition(" ")
    user = get_user_model()(username=person.email, email=person.email, first_name=first[:150], last_name=last[:150])
    user.set_unusable_password()
    user.save()
    return user


def _check_active(user: Any) -> None:
    if not user.is_active:
        raise SignOnRefused("Your account is switched off.", "The account is switched off.")


def _settle(identity: ExternalIdentity, wanted: frozenset[str]) -> None:
    """Give and take so that the account has of the provider's roles those in ``wanted``. The audit
    trail hears of each change."""
    user: Any = identity.user
    before = set(identity.granted)
    has = set(user.groups.values_list("name", flat=True)) | ({SUPERUSER} if user.is_superuser else set())
    taken, given = before - wanted, wanted - has
    if groups := list(Group.objects.filter(name__in=taken - {SUPERUSER})):
        user.groups.remove(*groups)
    if groups := list(Group.objects.filter(name__in=given - {SUPERUSER})):
        user.groups.add(*groups)
    changed = {}
    if SUPERUSER in taken | given:
        changed["is_superuser"] = SUPERUSER in given
    if wanted and not user.is_staff:
        changed["is_staff"] = identity.staff_granted = True
    elif not wanted and identity.staff_granted:
        changed["is_staff"] = identity.staff_granted = False
    for field, value in changed.items():
        setattr(user, field, value)
    if changed:
        user.save(update_fields=list(changed))
    identity.granted = sorted((before & wanted) | given)
    identity.save(update_fields=["granted", "staff_granted"])
