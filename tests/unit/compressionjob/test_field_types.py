"""Quantities, durations and decimals as Kubernetes writes them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressionjob.field_types import format_bytes, format_duration, parse_duration, parse_quantity
from compressionjob.objectives import Sla


@pytest.mark.parametrize(
    ("text", "seconds"), [("20ms", 0.02), ("1h30m", 5400), ("1.5s", 1.5), ("500us", 0.0005), ("2h3m4s", 7384)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "20", "0s", "-1s", "1d", "ms", "1 s", "1s1"])
def test_invalid_durations(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration above 0"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "number"), [("512Mi", 2**29), ("500m", 0.5), (2, 2), ("1.5Gi", 1.5 * 2**30), ("1k", 1000)]
)
def test_quantities(text: str | int, number: float) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "Mi", "-1", "1 Gi", "half", "1KB"])
def test_invalid_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="must be a quantity"):
        parse_quantity(text)


def test_formatted_durations_and_bytes() -> None:
    assert format_duration(0.00731) == "7.31ms"
    assert format_duration(7384) == "2h3m"
    assert format_bytes(90_868_370) == "90.9 MB"
    assert (format_bytes(999_940), format_bytes(999_960)) == ("999.9 kB", "1.0 MB")
    assert format_bytes(1023.96 * 2**20, like=2**20) == "1Gi"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0009994, "999us"),
        (0.0009996, "1ms"),
        (0.9994, "999ms"),
        (0.9996, "1s"),
        (59.94, "59.9s"),
        (59.96, "1m0s"),
    ],
)
def test_a_duration_that_rounds_up_to_the_next_unit_is_written_in_it(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("border", [0.0009995, 0.9995, 59.95])
def test_no_duration_has_an_exponent(border: float) -> None:
    assert all("e" not in format_duration(seconds) for seconds in (math.nextafter(border, 0), border))


@given(st.floats(0.000001, 0.999999))
def test_decimals_survive_the_round_trip_through_a_manifest(number: float) -> None:
    text = f"{number:.9f}"
    sla = Sla.model_validate({"confidence": text}) if float(text) > 0 else Sla()
    assert Sla.model_validate(sla.to_json()) == sla


@pytest.mark.parametrize(
    ("count", "like", "text"),
    [
        (1.6 * 2**30, 400 * 2**20, "1.6Gi"),
        (400 * 2**20, 400 * 2**20, "400Mi"),
        (653_600_000, 400 * 2**20, "623.3Mi"),
        (2**21, 2**30, "2Mi"),
        (3 * 2**40, 2**30, "3Ti"),
        (653_600_000, 400_000_000, "653.6 MB"),
        (653_600_000, None, "653.6 MB"),
    ],
)
def test_bytes_are_formatted_in_the_units_of_the_user(count: float, like: float | None, text: str) -> None:
    assert format_bytes(count, like=like) == text
