"""The wrong lines for single sign-on and second factors: fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_SSO = "tests/security/test_sign_on.py"
_ONLY = "tests/security/test_sign_on_only.py"
_FACTOR = "tests/security/test_second_factor.py"
_LIES = (_SSO, "-k", "lying_provider")
_OIDC = "llm_gateway/actions/_oidc.py"
_CLAIMS = "llm_gateway/policies/sign_on.py"
_ADMIT = "llm_gateway/actions/sign_on.py"
_TOTP = "llm_gateway/actions/second_factor.py"

SSO: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "an ID token's signature is not looked at",
        _OIDC,
        "            leeway=LEEWAY_S,\n            options={",
        '            leeway=LEEWAY_S,\n            options={"verify_signature": False, '
        '"verify_iss": True, "verify_aud": True, "verify_exp": True, "verify_iat": True, ',
        _LIES,
    ),
    ("tokens without a signature or with a shared secret get to a key", _OIDC, "if signed_by not in ALGORITHMS:", "if False:", _LIES),
    ("an ID token of any issuer will do", _OIDC, "            issuer=settings.issuer,\n", "", _LIES),
    (
        "the nonce is not compared",
        _CLAIMS,
        "if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):",
        "if False:",
        _LIES,
    ),
    (
        "a token that was issued to another client lets in",
        _CLAIMS,
        'if (several or "azp" in claims) and claims.get("azp") != settings.client_id:',
        "if False:",
        _LIES,
    ),
    ("a mail address that is not verified lets in", _CLAIMS, 'if claims.get("email_verified") not in (True, "true"):', "if False:", _LIES),
    ("any mail domain lets in", _CLAIMS, "if settings.domains and", "if False and", _LIES),
    (
        "the answer works twice",
        _ADMIT,
        '        raise not_believed("The answer came a second time.") from None',
        "        pass",
        (_SSO, "-k", "good_once"),
    ),
    (
        "the state is not compared",
        "llm_gateway/api/sign_on.py",
        'if not hmac.compare_digest(request.GET.get("state", "").encode(), str(state).encode()):',
        "if False:",
        (_SSO, "-k", "good_once"),
    ),
    (
        "the verifier stays at home",
        _OIDC,
        '"code_verifier": started.verifier}',
        '"code_verifier": "x"}',
        (_SSO, "-k", "comes_in_with_the_role"),
    ),
    (
        "what the provider gave stays for ever",
        _ADMIT,
        "taken, given = before - wanted, wanted - has",
        "taken, given = set(), wanted - has",
        (_SSO, "-k", "goes_with_the_claim"),
    ),
    (
        "what was given here goes with the claim",
        _ADMIT,
        "taken, given = before - wanted, wanted - has",
        "taken, given = has - wanted, wanted - has",
        (_SSO, "-k", "goes_with_the_claim"),
    ),
    (
        "a superuser's account opens by its mail address",
        _ADMIT,
        "if user.is_superuser and not settings.gives_superuser:",
        "if False:",
        (_SSO, "-k", "becomes_or_is_a_superuser"),
    ),
    (
        "an old address opens the account of whoever had it",
        _ADMIT,
        "if user.identities.filter(issuer=settings.issuer).exists():",
        "if False:",
        (_SSO, "-k", "found_once_by_address"),
    ),
    (
        "a superuser's invitation needs no link",
        _ADMIT,
        "if invited is not None and (invited.role != SUPERUSER or settings.gives_superuser):",
        "if invited is not None:",
        (_SSO, "-k", "whoever_was_invited"),
    ),
    ("a switched-off account comes in", _ADMIT, "    if not user.is_active:", "    if False:", (_SSO, "-k", "switched_off_account")),
    (
        "another issuer's description is believed",
        _OIDC,
        'if document.get("issuer") != settings.issuer:',
        "if False:",
        (_SSO, "-k", "ill_costs"),
    ),
    (
        "a slow provider is waited for",
        _OIDC,
        "async with asyncio.timeout(CLOCK_S):",
        "async with asyncio.timeout(60):",
        (_SSO, "-k", "ill_costs"),
    ),
    ("the provider's answer has no end", _OIDC, "if len(read) > MOST_BYTES:", "if False:", (_SSO, "-k", "ill_costs")),
    ("private addresses are asked", _OIDC, "allow_private=settings.private)", "allow_private=True)", (_SSO, "-k", "private_network")),
    ("userinfo of somebody else counts", _CLAIMS, 'if more.get("sub") != claims.get("sub"):', "if False:", (_SSO, "-k", "userinfo")),
    (
        "passwords open what they should not",
        "llm_gateway/actions/sign_in.py",
        "        if not passwords_open():",
        "        if False:",
        (_ONLY, "-k", "no_password_opens"),
    ),
    (
        "a link of the terminal opens twice",
        "llm_gateway/actions/sign_in_link.py",
        "filter(digest=_sealed(token), used_at=None, expires_at__gt=now)",
        "filter(digest=_sealed(token), expires_at__gt=now)",
        (_ONLY, "-k", "in_by_a_command_once"),
    ),
    (
        "answers may be guessed as fast as one likes",
        "llm_gateway/api/sign_on.py",
        "    await sync_to_async(count_try_of)(request, counted)\n",
        "",
        (_SSO, "-k", "not_guessed"),
    ),
    (
        "a second factor is never asked for",
        "llm_gateway/api/entering.py",
        "if exempt or not (has_second_factor(user) or must_have(user)):",
        "if True:",
        (_FACTOR, "-k", "reaches_nothing"),
    ),
    (
        "half a sign-in lasts for ever",
        "llm_gateway/api/entering.py",
        'if kept is None or kept["until"] < time.time():',
        "if kept is None:",
        (_FACTOR, "-k", "ends_with_its_time"),
    ),
    (
        "half a sign-in outlives the password",
        "llm_gateway/api/entering.py",
        "return user if same and user.is_active else None",
        "return user if user.is_active else None",
        (_FACTOR, "-k", "ends_with_its_time"),
    ),
    (
        "whoever was signed in stays so",
        "llm_gateway/api/entering.py",
        "        logout(request)\n",
        "        pass\n",
        (_FACTOR, "-k", "signed_out_first"),
    ),
    (
        "a code is taken again",
        _TOTP,
        "filter(pk=row.pk, last_step__lt=step).update(",
        "filter(pk=row.pk).update(",
        (_FACTOR, "-k", "taken_once"),
    ),
    ("a code of an hour ago is taken", _TOTP, "DRIFT = (0, -1, 1)", "DRIFT = tuple(range(-120, 2))", (_FACTOR, "-k", "taken_once")),
    (
        "a recovery code opens again",
        _TOTP,
        "digest=_digest(row, text), used_at=None)",
        "digest=_digest(row, text))",
        (_FACTOR, "-k", "open_once_each"),
    ),
    (
        "codes may be guessed as fast as one likes",
        "llm_gateway/api/second_factor.py",
        "        count_try_of(request, counted)\n",
        "        pass\n",
        (_FACTOR, "-k", "wrong_codes_wait"),
    ),
    (
        "switching off takes no code",
        "llm_gateway/api/own_second_factor.py",
        'error = tried(request, user, lambda code: "" if',
        'error = "" if verb == "off" else tried(request, user, lambda code: "" if',
        (_FACTOR, "-k", "by_themself"),
    ),
    (
        "a role's wish for a second factor is forgotten",
        _TOTP,
        "    return bool(user.groups.filter(name__in=wanted).exists())",
        "    return False",
        (_FACTOR, "-k", "session_from_before_sets"),
    ),
    (
        "a session without a code changes the factor",
        "llm_gateway/api/own_second_factor.py",
        "    if wanted and not request.session.get(PASSED):",
        "    if False:",
        (_FACTOR, "-k", "signs_in_anew"),
    ),
    (
        "the app's key is left behind at a rotation",
        "llm_gateway/actions/rotate_encryption.py",
        '    Sealed(SecondFactor, "ciphertext", second_factor.place_of),\n',
        "",
        (_FACTOR, "-k", "rotated_with_all"),
    ),
)
