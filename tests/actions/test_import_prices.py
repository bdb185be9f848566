from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_gateway.actions import import_prices as module
from llm_gateway.actions._price_data import Band, PriceList
from llm_gateway.actions.import_prices import import_prices
from llm_gateway.actions.load_catalogue import load_catalogue
from llm_gateway.models import LanguageModel, Price, Provider

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def bands(name: str, tier: str = "standard") -> list[tuple[str, int, str, str, str]]:
    rows = Price.objects.filter(model__name=name, tier=tier).order_by("effective_from", "min_prompt_tokens")
    return [(f"{row.effective_from:%Y-%m-%d}", row.min_prompt_tokens, *map(usd, (row.input, row.output, row.cache_read))) for row in rows]


def usd(value: Decimal | None) -> str:
    return "-" if value is None else f"{value.normalize():f}"


@pytest.fixture
def loaded(db: None) -> None:
    load_catalogue()
    import_prices(now=NOW)


@pytest.mark.usefixtures("loaded")
class TestTheFirstImport:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("gpt-4o", [("2020-01-01", 0, "2.5", "10", "1.25")]),
            ("claude-3-5-sonnet-20241022", [("2020-01-01", 0, "3", "15", "0.3")]),
            ("qwen3-coder-480b", [("2020-01-01", 0, "0.45", "1.8", "-")]),
            ("claude-sonnet-5-5", [("2020-01-01", 0, "2", "10", "0.1")]),
            ("claude-haiku-5-5", [("2020-01-01", 0, "0.1", "0.5", "0.01"), ("2020-01-01", 100_001, "0.5", "2.5", "0.05")]),
            ("gpt-6.1-sol", [("2020-01-01", 0, "2", "10", "0.1"), ("2020-01-01", 272_001, "4", "15", "0.2")]),
            ("gemini-4-argon", [("2020-01-01", 0, "2", "10", "0.1"), ("2026-12-01", 0, "4", "20", "0.2")]),
            ("gemini-3.8-flash", [("2020-01-01", 0, "0.75", "3.75", "0.075"), ("2027-01-01", 0, "1.5", "7.5", "0.15")]),
            ("qwen3p8-max", [("2020-01-01", 0, "2", "6", "0.25")]),
            ("text-embedding-3-small", [("2020-01-01", 0, "0.02", "0", "-")]),
        ],
    )
    def test_carries_the_published_figures(self, name: str, expected: list[tuple[str, int, str, str, str]]) -> None:
        assert bands(name) == expected

    def test_carries_what_the_package_lacks(self) -> None:
        assert bands("gemini-2.5-pro")[-2:] == [("2026-12-01", 0, "0.75", "3.75", "0.075"), ("2027-01-01", 0, "1.5", "7.5", "0.15")]
        sources = set(Price.objects.filter(model__name="gemini-2.5-pro").values_list("source", flat=True))
        assert "Google deprecation notice" in sources

    def test_carries_cache_writes_and_searches(self) -> None:
        price = Price.objects.get(model__name="claude-opus-5-5", tier="standard")
        assert (price.cache_write, price.cache_write_1h, price.web_search) == (Decimal(5), Decimal(8), Decimal("0.01"))

    def test_carries_service_tiers_from_their_day_on(self) -> None:
        assert bands("gpt-4o", "priority") == [("2026-10-12", 0, "4.25", "17", "2.125")]
        assert bands("gpt-4o", "batch") == [("2026-10-14", 0, "1.25", "5", "1.25")]
        assert bands("claude-opus-5-5", "fast") == [("2020-01-01", 0, "8", "40", "0.4")]

    def test_names_its_source(self) -> None:
        assert Price.objects.get(model__name="gpt-4o", tier="standard").source.startswith("genai-prices 0.")

    def test_leaves_only_models_without_a_published_price_unpriced(self) -> None:
        assert set(import_prices(now=NOW).unpriced) == {"gpt-6.2-sol", "gpt-6.2-astra"}

    def test_a_second_import_adds_nothing(self) -> None:
        before = Price.objects.count()
        result = import_prices(now=NOW)
        assert (result.new, result.changed, result.operator) == (0, 0, 0)
        assert result.unchanged > 50
        assert Price.objects.count() == before

    def test_an_import_after_a_turn_of_prices_adds_nothing(self) -> None:
        result = import_prices(now=datetime(2027, 2, 1, tzinfo=UTC))
        assert (result.new, result.changed) == (0, 0)


def test_a_dry_run_tells_and_writes_nothing() -> None:
    load_catalogue()
    result = import_prices(dry_run=True, now=NOW)
    assert result.new > 50
    assert not Price.objects.exists()


def test_a_custom_provider_is_priced_by_its_address() -> None:
    host = Provider.objects.create(
        slug="deepseek", title="DeepSeek", service="custom", wire="openai_chat", base_url="https://api.deepseek.com/v1"
    )
    other = Provider.objects.create(slug="mine", title="Mine", service="custom", wire="openai_chat", base_url="https://llm.example.com/v1")
    LanguageModel.objects.create(provider=host, name="ds", upstream_id="deepseek-chat")
    LanguageModel.objects.create(provider=other, name="mine-ds", upstream_id="deepseek-chat")
    LanguageModel.objects.create(provider=host, name="any", upstream_id="deepseek-*")
    result = import_prices(now=NOW)
    assert set(Price.objects.values_list("model__name", flat=True)) == {"ds"}
    assert result.unpriced == ("any", "mine-ds")


def a_list(price: str, since: datetime, source: str = "genai-prices 9") -> PriceList:
    return PriceList(effective_from=since, bands=(Band(input=Decimal(price), output=Decimal(price)),), source=source)


EVER, SOON, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, db: None):  # type: ignore[no-untyped-def]
    """One model at one provider, and a hand on what is published for it."""
    host = Provider.objects.create(slug="h", title="H", service="custom", wire="openai_chat", base_url="https://h.example.com/v1")
    model = LanguageModel.objects.create(provider=host, name="m", upstream_id="m")

    def run(*lists: PriceList, **options: object) -> module.PriceImport:
        monkeypatch.setattr(module, "published", lambda models: {(model.pk, "standard"): list(lists)})
        return import_prices(**{"now": NOW, **options})  # type: ignore[arg-type]

    return run


def timeline() -> list[tuple[datetime, str]]:
    return [(row.effective_from, f"{row.input.normalize():f}") for row in Price.objects.order_by("effective_from")]


def test_a_corrected_figure_becomes_a_new_row_from_now_on(publish) -> None:  # type: ignore[no-untyped-def]
    publish(a_list("1", EVER))
    result = publish(a_list("2", EVER))
    assert result.changed == 1
    assert (result.changes[0].before, result.changes[0].after) == ("1 / 1", "2 / 2")
    assert timeline() == [(EVER, "1"), (NOW, "2")]
    assert publish(a_list("2", EVER)).unchanged == 1


def test_an_unapproved_change_is_told_and_not_written(publish) -> None:  # type: ignore[no-untyped-def]
    publish(a_list("1", EVER), approve=False)
    assert publish(a_list("2", EVER), approve=False).changed == 1
    assert timeline() == [(EVER, "1")]


def test_an_announced_turn_is_entered_on_its_day(publish) -> None:  # type: ignore[no-untyped-def]
    publish(a_list("1", EVER))
    assert publish(a_list("1", EVER), a_list("2", SOON)).changed == 1
    assert timeline() == [(EVER, "1"), (SOON, "2")]


def test_a_turn_learnt_of_late_is_entered_on_its_own_day(publish) -> None:  # type: ignore[no-untyped-def]
    past = datetime(2026, 11, 20, tzinfo=UTC)
    publish(a_list("1", EVER))
    publish(a_list("1", EVER), a_list("2", past))
    assert timeline() == [(EVER, "1"), (past, "2")]


def test_a_corrected_announcement_stands_a_second_after_the_first(publish) -> None:  # type: ignore[no-untyped-def]
    publish(a_list("1", EVER), a_list("2", SOON))
    publish(a_list("1", EVER), a_list("3", SOON))
    assert timeline() == [(EVER, "1"), (SOON, "2"), (SOON.replace(second=1), "3")]
    assert publish(a_list("1", EVER), a_list("3", SOON)).changed == 0


def test_a_withdrawn_announcement_is_undone_on_its_day(publish) -> None:  # type: ignore[no-untyped-def]
    publish(a_list("1", EVER), a_list("2", SOON))
    assert publish(a_list("1", EVER)).changed == 1
    assert timeline() == [(EVER, "1"), (SOON, "2"), (SOON.replace(second=1), "1")]


def test_what_the_operator_entered_wins_over_anything_older(publish) -> None:  # type: ignore[no-untyped-def]
    publish(a_list("1", EVER))
    entered = datetime(2026, 11, 1, tzinfo=UTC)
    Price.objects.create(model=LanguageModel.objects.get(), effective_from=entered, input=Decimal("0.5"), output=Decimal("0.5"))
    result = publish(a_list("2", EVER), a_list("3", LATER))
    assert (result.operator, result.changed) == (1, 1)
    assert timeline() == [(EVER, "1"), (entered, "0.5"), (LATER, "3")]
