"""The figures of a row, from the answers of the unquantized model and of its checkpoint."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.checkpoints.reading import Judged
from benchmarks.tooling import interval
from compression_runner.evaluation.quality.perplexity import language_quality
from compression_runner.evaluation.statistics.intervals import share
from compression_runner.evaluation.statistics.paired_ratio import ratio_of_shares
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Answers:
    """All answers of a checkpoint."""

    served: Floats
    judged: Judged


def figures(baseline: Answers, row: Answers) -> dict[str, Any]:
    """Return perplexities with their growth, the share of right answers, and the recovery.

    `increase` is the growth in vLLM from the unquantized model, which itself has none and no recovery, and
    `engineIncrease` the growth from the judged graph to vLLM.
    """
    same = row is baseline
    return {
        "perplexity": perplexity(row.served),
        "increase": None if same else interval(increase(baseline.served, row.served)),
        "judgedPerplexity": perplexity(row.judged.rows),
        "engineIncrease": interval(increase(row.judged.rows, row.served)),
        "score": interval(share(row.judged.right, CONFIDENCE)),
        "recovery": None if same else interval(ratio_of_shares(baseline.judged.right, row.judged.right, CONFIDENCE)),
    }


def increase(before: Floats, after: Floats) -> Estimate:
    """Return the relative growth of the perplexity from one model to another."""
    growth = language_quality(before, after, CONFIDENCE).scores["perplexity"].drop
    assert growth is not None
    return growth


def perplexity(rows: Floats) -> float:
    """Return e to the mean loss; all windows have the same length."""
    return float(np.exp(rows[:, 0].mean(dtype=np.float64)))
