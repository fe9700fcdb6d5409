"""Figures as text."""

import math

import pytest

from compressionjob.figures import short_number, write_figure


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (999.4, "samples per second", "999"),
        (999.7, "samples per second", "1000"),
        (12_345.6, "samples per second", "12346"),
        (0.0123456, "samples per second", "0.0123"),
        (99_999.4, "error", "99999"),
        (99_999.6, "error", "100000"),
        (123_456.7, "error", "123457"),
        (0.9996, "seconds", "1s"),
    ],
)
def test_large_and_rounded_up_figures_are_written_in_full(value: float, unit: str, text: str) -> None:
    assert write_figure(value, unit) == text


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("digits", [3, 4, 5])
def test_no_border_of_the_digits_gives_an_exponent(digits: int, sign: int) -> None:
    border = 10**digits - 0.5
    for value in (math.nextafter(border, 0), border, 10**digits - 0.1, 10**digits, 10 ** (digits + 2)):
        assert "e" not in short_number(sign * value, digits)
