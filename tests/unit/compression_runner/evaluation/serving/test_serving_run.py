"""Figures of served requests from known latencies: their truth, dependence, failures, overload, and noise."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.serving.client import Answer
from compression_runner.evaluation.serving.judged import kept, serving_estimates, serving_report
from compression_runner.evaluation.serving.load import Loaded
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock
from compression_runner.evaluation.serving.serving_run import ServingRun
from compressionjob.estimate import UNBOUNDED_RATIO, UNBOUNDED_SECONDS
from compressionjob.objectives import Sla
from compressionjob.serving import Serving
from compressionjob.sla_objectives import Objective
from compressionjob.verdict import judge, verdict_on

CONFIDENCE = 0.95
TOKENS = 20


def answer(
    generator: np.random.Generator, number: int, *, factor: float = 1.0, alike: float = 0.0, tokens: int = TOKENS
) -> Answer:
    """Return a request whose TTFT is 20 ms and an exponential 20 ms, and whose gaps are 2 ms and an exponential 2 ms.

    With `alike`, all gaps of a request share a factor whose logarithm has this standard deviation.
    """
    arrival = number * 0.1
    first = arrival + factor * (0.02 + 0.02 * generator.standard_exponential())
    own = float(np.exp(alike * generator.standard_normal()))
    gaps = factor * own * (0.002 + 0.002 * generator.standard_exponential(tokens - 1))
    moments = [first, *(first + np.cumsum(gaps)).tolist()]
    return Answer(number % 16, arrival, arrival, moments, moments[-1])


def block(
    answers: Sequence[Answer], growth: float = 0.0, noise: Noise | None = None, rate: float = 10.0
) -> ServedBlock:
    return ServedBlock(Loaded(tuple(answers), rate, 1.0, growth), TOKENS, noise)


def run_of(
    seed: int = 0, pairs: int = 10, requests: int = 30, growth: Sequence[float] = (0.0,), **more: Any
) -> ServingRun:
    """Return a run in which the compressed model is 1.25 times as slow as the baseline."""
    generator = np.random.default_rng(seed)
    run = ServingRun(at_random=True)
    for pair in range(pairs):
        sides = [
            block([answer(generator, number, factor=factor, **more) for number in range(requests)], own)
            for factor, own in ((1.0, 0.0), (1.25, growth[pair % len(growth)]))
        ]
        run.pairs.append((sides[0], sides[1]))
    return run


def fail(run: ServingRun, requests: int) -> ServingRun:
    """Return the run with failed requests of the compressed model in each block, after half of their tokens."""
    pairs = []
    for before, after in run.pairs:
        broken = [
            replace(each, tokens=each.tokens[: TOKENS // 2], error="the answer ended early")
            if number < requests
            else each
            for number, each in enumerate(after.answers)
        ]
        pairs.append((before, block(broken)))
    return ServingRun(run.at_random, pairs)


def test_latencies_are_those_of_their_definitions() -> None:
    one = Answer(0, arrival=1.0, sent=1.1, tokens=[1.5, 1.6, 1.6, 1.9], done=2.0)
    measured = block([one, replace(one, tokens=[1.5])])
    assert measured.seconds("ttft").tolist() == pytest.approx([0.5, 0.5])
    assert measured.seconds("endToEnd").tolist() == pytest.approx([0.9, 0.5])
    # An answer of one token has no gap: MLPerf divides by the tokens after the first.
    assert measured.seconds("timePerOutputToken").tolist() == pytest.approx([0.4 / 3])
    assert measured.seconds("interToken").tolist() == pytest.approx([0.1, 0.0, 0.3])


def test_a_failed_request_is_unbounded_in_every_latency() -> None:
    failed = Answer(0, 1.0, 1.0, [1.5, 1.6], 1.7, "the connection failed")
    measured = block([failed])
    for name in ("ttft", "endToEnd", "timePerOutputToken"):
        assert measured.seconds(name).tolist() == [UNBOUNDED_SECONDS]
    assert (measured.seconds("interToken") >= UNBOUNDED_SECONDS).sum() == TOKENS - 1 - 1


def test_failed_requests_move_percentiles_and_are_never_left_out() -> None:
    good = run_of()
    few, many = fail(good, 1), fail(good, 6)
    for name in ("ttft", "interToken", "endToEnd"):
        before, after = (run.latency(1, name, "p50", CONFIDENCE) for run in (good, few))
        assert before is not None
        assert after is not None
        assert before.value < after.value < UNBOUNDED_SECONDS
        worst = many.latency(1, name, "p90", CONFIDENCE)
        assert worst is not None
        assert worst.value == UNBOUNDED_SECONDS
    assert many.failed(1) == 60
    ratio = many.ratio("ttft", "p90", CONFIDENCE)
    assert ratio is not None
    assert ratio.value >= UNBOUNDED_RATIO


def test_failed_requests_are_no_more_values_than_requests() -> None:
    run = run_of(pairs=16, requests=30)
    for number, (before, after) in enumerate(run.pairs[:7]):
        failed = replace(after.answers[0], tokens=[], error="the connection failed")
        run.pairs[number] = before, block([failed, *after.answers[1:]])
    estimate = run.latency(1, "interToken", "p99", CONFIDENCE)
    assert estimate is not None
    # 7 of 480 requests failed, so the p99 is one of theirs. A hundredth of all requests could fail by chance so often.
    assert estimate.value == UNBOUNDED_SECONDS
    assert estimate.low < 1.0


def test_gaps_of_one_request_count_less_the_more_they_are_alike() -> None:
    apart, alike = run_of(alike=0.0), run_of(alike=1.0)
    widths = []
    for run in (apart, alike):
        estimate = run.latency(1, "interToken", "p50", CONFIDENCE)
        assert estimate is not None
        widths.append((estimate.high - estimate.low) / estimate.value)
    # 19 gaps of 300 requests: as many as 5,700 values if independent, about 300 if all of a request are alike.
    assert widths[1] > 3 * widths[0]


@pytest.mark.parametrize(("name", "quantile"), [("ttft", "p90"), ("interToken", "p90"), ("timePerOutputToken", "p50")])
def test_verdicts_at_under_and_over_the_truth_are_seldom_wrong(name: str, quantile: str) -> None:
    many = run_of(seed=1, pairs=1, requests=40_000, alike=0.5).blocks(1)[0].seconds(name)
    truth = float(np.quantile(many, {"p50": 0.5, "p90": 0.9}[quantile]))
    verdicts: dict[float, list[str]] = {factor: [] for factor in (0.5, 0.8, 1.0, 1.25, 2.0)}
    for seed in range(200):
        estimate = run_of(seed=1000 + seed, pairs=8, requests=24, alike=0.5).latency(1, name, quantile, CONFIDENCE)
        assert estimate is not None
        for factor, made in verdicts.items():
            made.append(verdict_on(Objective(name, factor * truth, "at most", "seconds"), estimate))
    wrong = {
        factor: sum(one == ("Pass" if factor < 1 else "Fail") for one in made) for factor, made in verdicts.items()
    }
    wrong[1.0] = sum(one != "Inconclusive" for one in verdicts[1.0])
    # 17 of 200 is the 1 % point of a share of 5 %.
    assert max(wrong.values()) <= 17, wrong
    assert verdicts[0.5].count("Fail") > 150
    assert verdicts[2.0].count("Pass") > 150


def queue(rate: float, slots: int, seconds: float, requests: int, seed: int) -> ServedBlock:
    """Return a block of a server that answers `slots` requests at a time, each for an exponential time."""
    generator = np.random.default_rng(seed)
    arrivals = np.cumsum(generator.exponential(1 / rate, requests))
    free = [0.0] * slots
    answers = []
    for number, arrival in enumerate(arrivals):
        start = max(float(arrival), min(free))
        free[free.index(min(free))] = end = start + float(generator.exponential(seconds))
        answers.append(Answer(number % 16, float(arrival), float(arrival), [end], end))
    measured = answers[10:-5]
    ends = np.array([each.done for each in answers])
    began, last = measured[0].arrival, measured[-1].arrival
    flying = [np.count_nonzero(arrivals <= at) - np.count_nonzero(ends <= at) for at in (began, last)]
    return ServedBlock(Loaded(tuple(measured), rate, 1.0, float(flying[1] - flying[0]) / len(measured)), 1)


def test_an_overload_never_passes_and_a_light_load_is_decided() -> None:
    limit = Objective("ttft", 10.0, "at most", "seconds")
    for load, passes in ((1.5, 0), (0.5, 150)):
        verdicts = []
        for seed in range(200):
            made = [queue(load * 40.0, 4, 0.1, 95, 100 * seed + pair) for pair in range(12)]
            estimate = ServingRun(True, [(each, each) for each in made]).latency(1, "ttft", "p50", CONFIDENCE)
            assert estimate is not None
            verdicts.append(verdict_on(limit, estimate))
        assert verdicts.count("Pass") >= passes
        # Blocks are short, so even under overload every measured latency is below the limit.
        assert verdicts.count("Pass" if load > 1 else "Fail") <= 17


def test_a_server_that_falls_behind_has_no_latency_and_no_goodput() -> None:
    run = run_of(growth=(0.3, 0.5, 0.4))
    # One other request in flight delays each for 0.14 s, and requests arrive each 0.1 s.
    run.alone = Alone(0.0, 0.0, 0.0), Alone(0.0, 0.0, 0.0)
    for pair, (before, after) in enumerate(run.pairs):
        run.pairs[pair] = before, replace(after, loaded=replace(after.loaded, beside=np.full(30, 2.0)))
    keeps = [[np.ones(30, dtype=np.bool_) for _ in run.pairs] for _ in (0, 1)]
    for name in ("ttft", "endToEnd"):
        estimate = run.latency(1, name, "p50", CONFIDENCE)
        assert estimate is not None
        assert estimate.low == UNBOUNDED_SECONDS
        assert "10 requests arrive in a second, and it falls behind by 39% of them" in estimate.reason
    goodput = run.goodput(1, keeps, CONFIDENCE)
    assert (goodput.low, goodput.high) == (0.0, 0.0)
    assert run.goodput(0, keeps, CONFIDENCE).low > 9.0


def test_a_server_that_may_fall_behind_has_no_upper_bound() -> None:
    estimate = run_of(growth=(0.4, -0.3)).latency(1, "ttft", "p50", CONFIDENCE)
    assert estimate is not None
    assert estimate.low < 0.1
    assert estimate.high == UNBOUNDED_SECONDS
    assert "too few requests to show that it keeps up" in estimate.reason


def test_answers_of_one_token_have_no_gap_and_say_so() -> None:
    run = run_of(tokens=1)
    limits = Sla.model_validate({name: {"max": "1s", "maxRatio": "2"} for name in ("interToken", "timePerOutputToken")})
    judgement = judge(limits, {name: it for name, it in serving_estimates(limits, run, CONFIDENCE).items() if it})
    assert [result.verdict for result in judgement.objectives] == ["Inconclusive"] * 4
    assert all("no answer has two tokens" in result.reason for result in judgement.objectives)
    serving = Serving.model_validate({"requestRate": "10", "maxOutputTokens": TOKENS})
    report = serving_report(limits, serving, run, CONFIDENCE, {"engine": "vllm 1"}, (3.0, 4.0))
    assert set(report.ratios) == set(report.compressed.latencies) == {"ttft", "endToEnd"}


def test_a_ratio_to_the_baseline_holds_the_truth() -> None:
    ratio = run_of(pairs=30).ratio("ttft", "p50", CONFIDENCE)
    assert ratio is not None
    assert ratio.low < 1.25 < ratio.high
    assert ratio.high / ratio.low < 1.6


def test_goodput_is_the_rate_of_requests_that_keep_every_limit() -> None:
    run = run_of(pairs=20)
    limits = Sla.model_validate(
        {"ttft": {"max": "50ms"}, "interToken": {"max": "1s"}, "goodput": {"min": "5", "minRatio": "0.5"}}
    )
    share = float(np.concatenate([b.seconds("ttft") <= 0.05 for b in run.blocks(1)]).mean())
    estimates = serving_estimates(limits, run, CONFIDENCE)
    goodput, ratio = estimates["goodput"], estimates["goodput.ratio"]
    assert goodput is not None
    assert goodput.value == pytest.approx(10.0 * share)
    assert goodput.low < 10.0 * (1 - np.exp(-(0.05 - 0.025) / 0.025)) < goodput.high
    assert ratio is not None
    assert ratio.low < 1.0
    # Limits that all requests keep leave a doubt about those that were not sent.
    loose = Sla.model_validate({"ttft": {"max": "10s"}})
    perfect = run.goodput(1, kept(loose, run), CONFIDENCE)
    assert perfect.value == perfect.high == 10.0
    assert 9.0 < perfect.low < 10.0


def test_lengths_are_compared_by_prompt_and_a_failed_answer_may_have_any() -> None:
    generator = np.random.default_rng(0)
    pairs = []
    for _ in range(4):
        long = [answer(generator, number, tokens=TOKENS) for number in range(32)]
        short = [answer(generator, number, tokens=TOKENS // 2) for number in range(32)]
        pairs.append((block(long), block(short)))
    run = ServingRun(at_random=False, pairs=pairs)
    ratio = run.length_ratio(CONFIDENCE)
    assert (ratio.low, ratio.value, ratio.high) == (0.5, 0.5, 0.5)
    broken = fail(run, 32).length_ratio(CONFIDENCE)
    assert broken.low == 0.0
    assert broken.high == pytest.approx(1.0)


LITTLE = Noise(10.0, 20.0, 10.0, 0.0, 0.1, 0.1, None, None, None, None, 0.0, 0.1)
"""Noise of 1 % of the time, which the report does not mention."""
MUCH = Noise(10.0, 20.0, 10.0, 0.0, 9.0, 0.5, None, None, None, None, 0.0, 9.0)


def with_noise(run: ServingRun, *noises: Noise | None) -> ServingRun:
    """Return the run with the noise of each side in each block."""
    pairs = [(replace(a, noise=noises[0]), replace(b, noise=noises[-1])) for a, b in run.pairs]
    return ServingRun(run.at_random, pairs)


@pytest.mark.parametrize("noise", [LITTLE, MUCH])
def test_time_that_others_took_widens_ratios(noise: Noise) -> None:
    run = run_of(pairs=30)
    quiet = run.ratio("ttft", "p50", CONFIDENCE)
    assert quiet is not None
    for sides, lower, higher in (((noise, None), False, True), ((None, noise), True, False)):
        noisy = with_noise(run, *sides).ratio("ttft", "p50", CONFIDENCE)
        assert noisy is not None
        assert noisy.low < quiet.low if lower else noisy.low <= quiet.low
        assert noisy.high > quiet.high if higher else noisy.high >= quiet.high


def test_time_that_others_took_may_have_served_more_requests() -> None:
    run = run_of(pairs=10)
    keeps = [[np.ones(30, dtype=np.bool_) for _ in run.pairs] for _ in (0, 1)]
    constant, at_random = (ServingRun(kind, run.pairs) for kind in (False, True))
    before, after = (it.goodput(1, keeps, CONFIDENCE) for it in (constant, with_noise(constant, None, MUCH)))
    # Others took 5 % of the time.
    assert after.high == pytest.approx(before.high / 0.95)
    assert (after.low, after.value) == (before.low, before.value)
    # Arrivals at random do not wait for answers.
    assert with_noise(at_random, None, MUCH).goodput(1, keeps, CONFIDENCE).high == 10.0


def test_a_ratio_of_gaps_counts_every_request_of_unequal_blocks() -> None:
    generator = np.random.default_rng(0)
    run = ServingRun(at_random=True)
    for pair in range(12):
        slow = [answer(generator, number, tokens=4 if pair else 40) for number in range(30)]
        # The gaps after the first three are five times as long, and only one block in twelve has them.
        for each in slow:
            each.tokens[4:] = (each.tokens[3] + 5 * (np.array(each.tokens[4:]) - each.tokens[3])).tolist()
        run.pairs.append((block([answer(generator, number) for number in range(30)]), block(slow)))
    ratio = run.ratio("interToken", "p50", CONFIDENCE)
    assert ratio is not None
    # More than half of all gaps are long ones; cut to the shortest block, fewer than one in twelve would be.
    assert ratio.low <= ratio.value <= ratio.high
    assert ratio.value > 3
    assert ratio.high > ratio.value


def test_lengths_are_compared_for_the_prompts_that_both_models_got() -> None:
    """A slow compressed model got fewer requests in its time, and none with the last prompts."""
    run = run_of(requests=16)
    short = ServingRun(run.at_random, [(before, block(after.answers[:9])) for before, after in run.pairs])
    assert short.length_ratio(CONFIDENCE) == run.length_ratio(CONFIDENCE)


def test_time_that_others_took_lowers_the_lower_end_only() -> None:
    quiet = run_of()
    noisy = with_noise(quiet, MUCH)
    before, after = (run.latency(1, "ttft", "p50", CONFIDENCE) for run in (quiet, noisy))
    assert before is not None
    assert after is not None
    assert (after.value, after.high) == (before.value, before.high)
    assert after.low < before.low
    assert "other processes" in after.reason
    # A delay at random arrivals also delays requests that arrive later.
    assert after.low == 0.0


def test_noise_lowers_the_mean_gap_of_a_short_answer_more() -> None:
    lows = {}
    for name, tokens in (("mixed", (3, 37)), ("alike", (20, 20))):
        generator = np.random.default_rng(0)
        made = [
            block([answer(generator, number, tokens=tokens[number % 2]) for number in range(30)]) for _ in range(10)
        ]
        run = with_noise(ServingRun(False, [(each, each) for each in made]), LITTLE)
        quiet = ServingRun(False, [(each, each) for each in made])
        ends = [it.latency(1, "timePerOutputToken", "p50", CONFIDENCE) for it in (run, quiet)]
        assert ends[0] is not None
        assert ends[1] is not None
        lows[name] = ends[0].low / ends[1].low
    assert lows["mixed"] < lows["alike"] < 1.0


def test_the_report_has_distributions_failures_and_ratios() -> None:
    run = fail(run_of(), 2)
    limits = Sla.model_validate({"ttft": {"percentile": "p90", "max": "1s"}, "goodput": {"min": "1"}})
    serving = Serving.model_validate({"requestRate": "10", "maxOutputTokens": TOKENS})
    report = serving_report(limits, serving, run, CONFIDENCE, {"engine": "vllm 1"}, (3.0, 4.0))
    assert report.compressed.failed == 20
    assert report.compressed.failures == ["the answer ended early (20 times)"]
    assert report.compressed.start_seconds == 4.0
    assert len(report.baseline.latencies["interToken"].samples) == 1000
    assert max(report.compressed.latencies["ttft"].samples) < UNBOUNDED_SECONDS
    assert set(report.ratios) == {"ttft", "interToken", "timePerOutputToken", "endToEnd"}
    assert report.baseline.goodput is not None
    assert report.length_ratio is not None
