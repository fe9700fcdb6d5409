"""The cost of a run, and of the answers of its models, from the price per hour of its hardware."""

from collections.abc import Mapping

from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT
from compressionjob.cost import cost_of, cost_per_million, parse_price
from compressionjob.pod_interface import PRICE_VARIABLE
from compressionjob.report import ModelFigures, RunCost
from compressionjob.spec import CompressionJobSpec


def price_of(environment: Mapping[str, str], given: str | None = None) -> float | None:
    """Return the price per hour from the command line or the environment; None without one.

    Raises InvalidInput for an invalid price.
    """
    field = PRICE_VARIABLE if given is None else "--price-per-hour"
    text = environment.get(PRICE_VARIABLE) if given is None else given
    if not text:
        return None
    try:
        return parse_price(text)
    except ValueError as error:
        remedy = 'give a decimal number above 0, such as "0.40"'
        raise InvalidInput(INVALID_INPUT, field, text, "it is no price", remedy) from error


def require_price(spec: CompressionJobSpec, price: float | None) -> None:
    """Raise InvalidInput if the SLA limits cost and the price is unknown."""
    if spec.sla.cost is None or price is not None:
        return
    problem = "the price of an hour of this hardware is not known"
    remedy = f"give --price-per-hour or set {PRICE_VARIABLE}; in a cluster it is the runtime's pricePerHour"
    raise InvalidInput(
        INVALID_INPUT, "spec.sla.cost.maxPerMillion", f"{spec.sla.cost.max_per_million:g}", problem, remedy
    )


def run_cost(seconds: float, price: float | None, baseline: ModelFigures, compressed: ModelFigures) -> RunCost | None:
    """Return the cost of this run, and of a million answers of both models."""
    if price is None:
        return None
    rates = [side.throughput_interval for side in (baseline, compressed)]
    before, after = (None if rate is None else cost_per_million(price, rate) for rate in rates)
    return RunCost(
        price_per_hour=price,
        seconds=round(seconds, 1),
        cost=cost_of(seconds, price),
        baseline_per_million=before,
        compressed_per_million=after,
    )
