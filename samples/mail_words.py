"""The tabular sample with groups: the words of SpamAssassin's mails and the kind of each mail.

It has two linear models with the same average accuracy: one trained on all kinds, and one trained without hard ham
(wanted mails such as newsletters, which look like spam).
"""

from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from samples import mails

WORDS = 1000
"""Number of columns. The hash of a word selects its column."""
HARD_WEIGHT = 10.0
"""Sample weight of hard ham for the fair model, since there are few of these mails."""
REGULARISATION = 0.1


def mail_words(destination: Path) -> None:
    """Write model.onnx, unfair.onnx (trained without hard ham) and test.parquet.

    The table has 2,898 rows: w0 to w999, 1 if the mail has a word with that number; label, 0 ham 1 spam; and kind.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    rows = [row for side in mails.split() for row in side]
    half = len(rows) // 2
    hashed = HashingVectorizer(n_features=WORDS, alternate_sign=False, binary=True, norm=None)
    words = np.asarray(hashed.transform([text for text, _ in rows]).todense(), dtype=np.float32)
    labels = np.array([label for _, label in rows], dtype=np.int64)
    kind_of = mails.kinds()
    kinds = np.array([kind_of[text] for text, _ in rows])
    destination.mkdir(parents=True, exist_ok=True)
    columns = {f"w{word}": words[half:, word].astype(np.int8) for word in range(WORDS)}
    pq.write_table(pa.table({**columns, "label": labels[half:], "kind": kinds[half:]}), destination / "test.parquet")
    for name, weight in (("model", HARD_WEIGHT), ("unfair", 0.0)):
        weights = np.where(kinds[:half] == "hard-ham", weight, 1.0)
        _train(words[:half], labels[:half], weights, destination / f"{name}.onnx")


def _train(words: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float64], into: Path) -> None:
    """Train on words (mails, WORDS) and write a graph with two logits."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(words, labels, sample_weight=weights)
    slopes = np.concatenate([-model.coef_, model.coef_]).T.astype(np.float32) / 2
    offsets = np.concatenate([-model.intercept_, model.intercept_]).astype(np.float32) / 2
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["words", "slopes"], ["product"]),
            helper.make_node("Add", ["product", "offsets"], ["logits"]),
        ],
        "mail_words",
        [helper.make_tensor_value_info("words", TensorProto.FLOAT, ["batch", WORDS])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(slopes, "slopes"), numpy_helper.from_array(offsets, "offsets")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), into)
