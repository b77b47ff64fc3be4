"""Settings: what each variable may hold, and that a bad value costs one clear line and nothing else."""

from pathlib import Path

import pytest

from afterglow.metrics import CATALOGUE, DEFAULT_METRICS
from afterglow.settings import READ_ELSEWHERE, TABLE, Settings, environ_text, from_env

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def setting(variable: str, text: str) -> object:
    """Return what one variable's text becomes; fail if it is complained of."""
    field = next(field for field, setting in TABLE.items() if setting.variable == variable)
    settings, complaints = from_env({variable: text})

    assert complaints == []
    return getattr(settings, field)


def complaint(variable: str, text: str) -> str:
    """Return the one line that a bad value costs, and check that the default is used."""
    settings, complaints = from_env({variable: text})

    assert settings == Settings()
    assert len(complaints) == 1
    return complaints[0]


def test_an_empty_environment_means_the_defaults() -> None:
    assert (Settings(), []) == from_env({})


def test_a_variable_that_is_set_but_blank_means_its_default() -> None:
    assert (Settings(), []) == from_env({setting.variable: "  " for setting in TABLE.values()})


@pytest.mark.parametrize("variable", ["AFTERGLOW_ENABLED", "AFTERGLOW_FINDINGS"])
@pytest.mark.parametrize(
    ("text", "value"), [("on", True), ("ON", True), ("1", True), ("true", True), ("off", False), ("0", False)]
)
def test_a_switch_has_six_spellings(variable: str, text: str, value: bool) -> None:
    assert setting(variable, text) is value


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("AFTERGLOW_NAMESPACE", "Shop/Checkout:eu", "Shop/Checkout:eu"),
        (
            "AFTERGLOW_DIMENSIONS",
            "FunctionName;FunctionName, InitType",
            (("FunctionName",), ("FunctionName", "InitType")),
        ),
        ("AFTERGLOW_METRICS", "default", DEFAULT_METRICS),
        ("AFTERGLOW_METRICS", "all", frozenset(metric.name for metric in CATALOGUE)),
        ("AFTERGLOW_METRICS", "DurationMs, LostCount", frozenset({"DurationMs", "LostCount"})),
        ("AFTERGLOW_EMF_VALUES", "Arrays", "arrays"),
        ("AFTERGLOW_FLUSH", "End", "end"),
        ("AFTERGLOW_COLLECTOR", "records", "records"),
        ("AFTERGLOW_COLLECTOR", "https://collector.internal:8443/v1", "https://collector.internal:8443/v1"),
        ("AFTERGLOW_COLLECTOR", "unix:/tmp/collector", "unix:/tmp/collector"),
        ("AFTERGLOW_FLUSH_SECONDS", "900", 900),
        ("AFTERGLOW_SAMPLE_MS", " 5 ", 5),
        ("AFTERGLOW_SAMPLE_MAX_MS", "60000", 60_000),
        ("AFTERGLOW_RECORDS_FILE", "/tmp/records", "/tmp/records"),
    ],
)
def test_a_good_value_is_taken(variable: str, text: str, value: object) -> None:
    assert value == setting(variable, text)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("AFTERGLOW_ENABLED", "maybe"),
        ("AFTERGLOW_NAMESPACE", "AWS/Lambda"),
        ("AFTERGLOW_NAMESPACE", "with a blank"),
        ("AFTERGLOW_NAMESPACE", "n" * 256),
        ("AFTERGLOW_DIMENSIONS", "Colour"),
        ("AFTERGLOW_DIMENSIONS", "FunctionName;"),
        ("AFTERGLOW_DIMENSIONS", "FunctionName,FunctionName"),
        ("AFTERGLOW_METRICS", "DurationMs,Nonsense"),
        ("AFTERGLOW_EMF_VALUES", "histogram"),
        ("AFTERGLOW_FLUSH", "later"),
        ("AFTERGLOW_COLLECTOR", "ftp://collector"),
        ("AFTERGLOW_COLLECTOR", "http://"),
        ("AFTERGLOW_FLUSH_SECONDS", "0"),
        ("AFTERGLOW_FLUSH_SECONDS", "901"),
        ("AFTERGLOW_FLUSH_SECONDS", "1.5"),
        ("AFTERGLOW_SAMPLE_MS", "fast"),
        ("AFTERGLOW_SAMPLE_MAX_MS", "-1"),
    ],
)
def test_a_bad_value_gets_one_line_that_says_what_is_right(variable: str, text: str) -> None:
    field = next(field for field, setting in TABLE.items() if setting.variable == variable)
    default = environ_text(Settings._field_defaults[field])

    assert f"{variable}={text[:80]!r} is not {TABLE[field].allowed}; using {default}" == complaint(variable, text)


@pytest.mark.parametrize("where", ["https://s3cret@collector/v1", "https://user:s3cret@collector:8443"])
def test_credentials_in_an_address_are_refused_and_not_repeated(where: str) -> None:
    said = complaint("AFTERGLOW_COLLECTOR", where)

    assert "is not embedded, records, http://HOST" in said
    assert "s3cret" not in said


def test_a_long_value_is_quoted_in_part() -> None:
    assert len(complaint("AFTERGLOW_NAMESPACE", "x" * 100_000)) < 300


def test_a_misspelt_variable_is_named_together_with_those_that_exist() -> None:
    said = complaint("AFTERGLOW_NAMESPCE", "Shop")

    assert said.startswith("AFTERGLOW_NAMESPCE is no setting; known: AFTERGLOW_")
    assert "AFTERGLOW_NAMESPACE" in said


def test_variables_of_the_hook_and_the_launcher_are_no_misspellings() -> None:
    assert (Settings(), []) == from_env(dict.fromkeys(READ_ELSEWHERE, "off"))


def test_one_bad_value_leaves_the_others_as_they_were_set() -> None:
    settings, complaints = from_env({"AFTERGLOW_SAMPLE_MS": "x", "AFTERGLOW_NAMESPACE": "Shop"})

    assert settings.namespace == "Shop"
    assert len(complaints) == 1


@pytest.mark.parametrize("field", sorted(field for field in TABLE if Settings._field_defaults[field] != ""))
def test_every_default_is_a_value_that_could_be_set(field: str) -> None:
    default = Settings._field_defaults[field]

    assert default == setting(TABLE[field].variable, environ_text(default))


def test_every_setting_has_a_row_in_the_table() -> None:
    assert list(Settings._fields) == list(TABLE)


def test_the_page_lists_each_setting_as_the_code_has_it() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `AFTERGLOW_")]
    documented = {row[0].strip("| `"): (row[1], row[2].strip("`"), row[3].rstrip(" |")) for row in rows}
    coded = {
        setting.variable: (setting.allowed, environ_text(Settings._field_defaults[field]) or "none", setting.meaning)
        for field, setting in TABLE.items()
    }

    assert coded == {name: row for name, row in documented.items() if name not in READ_ELSEWHERE}
    assert list(documented) == [*coded, *READ_ELSEWHERE]
