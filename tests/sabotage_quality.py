"""The wrong lines for scores of answers, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_PURE = "tests/quality/test_scorers.py"
_GATEWAY = "tests/quality/test_through_the_gateway.py"
_WORKER = "tests/quality/test_worker.py"
_BENCH = "tests/quality/test_bench.py"

QUALITY: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "what is unknown counts as nought",
        "llm_gateway/scorers/_total.py",
        "        if verdict.value is not None and (weight",
        "        verdict = msgspec.structs.replace(verdict, value=verdict.value or 0.0)\n        if verdict.value is not None and (weight",
        (_PURE, "-k", "unknown_is_none"),
    ),
    (
        "a cut answer keeps its score",
        "llm_gateway/scorers/_total.py",
        "min(score, CAP) if capped else score",
        "score",
        (_PURE, "-k", "are_capped"),
    ),
    (
        "a scorer that fails fails the rest",
        "llm_gateway/scorers/_total.py",
        "    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError, MemoryError):",
        "    except LookupError:",
        (_PURE, "-k", "that_fails_says_nothing"),
    ),
    (
        "what the answer said is kept in findings",
        "llm_gateway/stores/scores.py",
        "quality.without_words().scorers",
        "quality.scorers",
        (_WORKER, "-k", "no_word_of_the_answer"),
    ),
    (
        "an open fence is closed by the end",
        "llm_gateway/scorers/structure.py",
        "    if last is None or last.closed:",
        "    if last is None or last.code:",
        (_PURE, "-k", "is_named"),
    ),
    (
        "a broken scorer ends the task that scores",
        "llm_gateway/stores/scores.py",
        "            except Exception as error:  # an answer that cannot be scored is nobody's fault",
        "            except KeyError as error:",
        (_GATEWAY, "-k", "breaks_fails_no_request"),
    ),
    (
        "what does not fit is not counted",
        "llm_gateway/stores/scores.py",
        '            self._drop("full")\n',
        "",
        (_GATEWAY, "-k", "is_counted"),
    ),
    (
        "texts of a team without texts go to the worker",
        "llm_gateway/stores/scores.py",
        " or call.identity.bodies is BodyLogging.OFF:",
        ":",
        (_GATEWAY, "-k", "sealed_for_the_worker"),
    ),
    (
        "a stream's break is no cut",
        "llm_gateway/stores/answered.py",
        '        cut=settlement.state == "partial",',
        "        cut=False,",
        (_GATEWAY, "-k", "broke_off"),
    ),
    (
        "feedback on another team's request is taken",
        "llm_gateway/actions/give_feedback.py",
        "filter(pk=request_id, team_id=identity.team_id)",
        "filter(pk=request_id)",
        (_GATEWAY, "-k", "last_word"),
    ),
    (
        "a job is taken twice",
        "llm_gateway/actions/score_jobs.py",
        "    free = Q(lease_until=None) | Q(lease_until__lt=now)",
        "    free = Q()",
        (_WORKER, "-k", "that_is_held"),
    ),
    (
        "a text outlives its hour",
        "llm_gateway/actions/score_jobs.py",
        "filter(Q(expires_at__lt=now) | Q(",
        "filter(Q(",
        (_WORKER, "-k", "an_hour_old"),
    ),
    (
        "the text of a bomb stays",
        "llm_gateway/actions/score_jobs.py",
        "ScoreJob.objects.filter(pk__in=[job.pk for job in jobs]).delete()",
        "ScoreJob.objects.filter(pk__in=[job.pk for job, quality in made if quality]).delete()",
        (_WORKER, "-k", "that_ends_its_process"),
    ),
    (
        "a child that hangs is waited for",
        "llm_gateway/probes/bench.py",
        "        timer.start()\n",
        "",
        (_BENCH, "-k", "dies_or_hangs", "--timeout", "20"),
    ),
    (
        "the child inherits the gateway's secrets",
        "llm_gateway/probes/bench.py",
        'env={"PATH"',
        'env={**os.environ, "PATH"',
        (_BENCH, "-k", "environment"),
    ),
    (
        "too few scores route",
        "llm_gateway/strategies/performance_based.py",
        "s.scored >= ENOUGH_SCORED",
        "s.scored >= 0",
        ("tests/quality/test_routing.py", "-k", "thirty"),
    ),
    (
        "quality routes without a weight",
        "llm_gateway/strategies/performance_based.py",
        '"quality_weight": 0.0',
        '"quality_weight": 0.5',
        ("tests/quality/test_routing.py", "-k", "thirty"),
    ),
    (
        "code that is run may start processes",
        "llm_gateway/probes/sandbox.py",
        '"--seccomp", str(calls), ',
        "",
        ("tests/quality/test_sandbox.py", "-k", "no_escape"),
    ),
    (
        "an early exit is a pass",
        "llm_gateway/probes/sandbox.py",
        '    if told == f"passed {number}":',
        '    if told == f"passed {number}" or not told:',
        ("tests/quality/test_sandbox.py", "-k", "no_escape"),
    ),
    (
        "code is run on the network",
        "llm_gateway/probes/sandbox.py",
        '"--unshare-all", ',
        '"--unshare-all", "--share-net", ',
        ("tests/quality/test_sandbox.py", "-k", "no_escape"),
    ),
    (
        "scores of two formulas are added up",
        "analytics/quality_queries.py",
        "filter(score__isnull=False, formula=newest)",
        "filter(score__isnull=False)",
        ("tests/quality/test_report.py", "-k", "are_summed"),
    ),
    (
        "every answer is read in full whatever the rush",
        "llm_gateway/stores/scores.py",
        "        if settlement.at < self._next_at:",
        "        if settlement.at < 0:",
        ("tests/quality/test_cost.py", "-k", "in_a_rush"),
    ),
)
