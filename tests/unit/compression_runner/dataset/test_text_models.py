"""Maximum lengths and pad tokens of text models agree with those of their libraries."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel

from compression_runner.dataset.text_lengths import COUNTED_FROM_PADDING, position_limit
from compression_runner.dataset.texts import tokenize
from compression_runner.errors import InvalidInput
from compression_runner.formats.source.inspection import Source, inspect
from compression_runner.formats.source.text_model import WITHOUT_PAD_TOKEN
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compressionjob.spec import CompressionJobSpec, Model
from compressionjob.tasks import Task
from tests.support import tiny_models
from tests.support.plans import open_store
from tests.support.text_families import ENCODER, FAMILIES, SIZES, text_model, word_tokenizer

OTHERS = ("bart", "bert", "distilbert", "gpt2", "gptj", "nystromformer", "openai-gpt", "opt", "xlm")
"""Families with a position table that starts at 0, or with rows that the model adds to it."""
MORE: dict[str, dict[str, object]] = {
    "lilt": {"hidden_size": 24},
    "longformer": {"attention_window": 4},
    "luke": {"entity_vocab_size": 4},
    "xmod": {"default_language": "en_XX"},
}
"""Additional settings of single families."""


def plan_source(folder: Path, task: Task) -> Source:
    """Inspect a folder like the command `plan`."""
    return inspect(open_store(folder), Model(source=f"file://{folder}", task=task))


def edit(file: Path, **changes: object) -> None:
    """Change settings of a JSON file; None removes one."""
    settings = json.loads(file.read_text()) if file.is_file() else {}
    settings = {name: value for name, value in (settings | changes).items() if value is not None}
    file.write_text(json.dumps(settings))


@pytest.mark.parametrize("family", sorted({*COUNTED_FROM_PADDING, *OTHERS}))
def test_models_run_at_the_limit_and_fail_beyond(family: str) -> None:
    settings = dict(SIZES | FAMILIES.get(family, ENCODER))
    name = "n_positions" if "n_positions" in settings else "max_position_embeddings"
    config = AutoConfig.for_model(family, **(settings | {name: 14} | MORE.get(family, {})))
    limit = position_limit(config.to_dict())
    assert limit is not None
    model = AutoModel.from_config(config).eval()
    more = {"bbox": torch.zeros((1, limit.tokens, 4), dtype=torch.int64)} if family == "lilt" else {}
    tokens = torch.full((1, limit.tokens), 7)
    with torch.no_grad():
        model(input_ids=tokens, attention_mask=torch.ones_like(tokens), **more)
    longer = torch.full((1, limit.tokens + 1), 7)
    with torch.no_grad(), pytest.raises((IndexError, RuntimeError)):
        model(input_ids=longer, attention_mask=torch.ones_like(longer))


@pytest.mark.parametrize("family", ["t5", "xlnet", "bloom"])
def test_a_model_with_relative_positions_has_no_limit(family: str) -> None:
    assert position_limit({"model_type": family, "n_positions": 512}) is None


@pytest.mark.parametrize(
    ("changes", "settings", "most", "source"),
    [
        ({"max_position_embeddings": 514}, {}, 512, "max_position_embeddings 514"),
        ({"max_position_embeddings": 514}, {"model_max_length": 128}, 128, "tokenizer_config.json: model_max_length"),
        ({"max_position_embeddings": 130, "pad_token_id": None}, {"model_max_length": 10**30}, 128, "130"),
    ],
)
def test_preflight_refuses_a_length_beyond_the_limit(
    tmp_path: Path, changes: dict[str, object], settings: dict[str, object], most: int, source: str
) -> None:
    text_model(tmp_path / "model", "roberta", "text-classification")
    edit(tmp_path / "model" / "config.json", **changes)
    edit(tmp_path / "model" / "tokenizer_config.json", **settings)
    pq.write_table(pa.table({"text": ["a cat"]}), tmp_path / "texts.parquet")

    def plan(length: int) -> Source:
        spec = CompressionJobSpec.model_validate(
            {
                "model": {"source": f"file://{tmp_path / 'model'}", "task": "text-classification"},
                "data": {"evaluation": {"source": f"file://{tmp_path / 'texts.parquet'}"}},
                "pipeline": [{"quantize": {"method": "dynamic"}}],
                "benchmark": {"sequenceLength": length},
                "output": {"destination": f"file://{tmp_path / 'out'}"},
            }
        )
        return preflight(spec, of_trial(spec, Stores(), tmp_path / "work")).source

    assert plan(most).architecture == "RobertaForSequenceClassification"
    with pytest.raises(InvalidInput) as caught:
        plan(most + 1)
    assert caught.value.field == "spec.benchmark.sequenceLength"
    assert f"at most {most} tokens" in caught.value.problem
    assert source in caught.value.problem


@pytest.mark.parametrize("arrays", [False, True], ids=["texts", "arrays"])
def test_config_json_beside_a_graph_limits_the_length(tmp_path: Path, *, arrays: bool) -> None:
    place = tiny_models.perceptron(tmp_path / "model", width=8)
    (place / "config.json").write_text(
        json.dumps({"model_type": "bert", "num_labels": 4, "max_position_embeddings": 16})
    )
    data = tmp_path / ("data.npz" if arrays else "texts.parquet")
    if arrays:
        np.savez(data, x=np.ones((4, 8), np.float32))
    else:
        pq.write_table(pa.table({"text": ["a cat"]}), data)
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{place}", "task": "text-classification"},
            "data": {"evaluation": {"source": f"file://{data}"}},
            "pipeline": [{"quantize": {"method": "dynamic"}}],
            "benchmark": {"sequenceLength": 17},
            "output": {"destination": f"file://{tmp_path / 'out'}"},
        }
    )
    refused = pytest.raises(InvalidInput, match=r"sequenceLength.*max_position_embeddings\) takes at most 16 tokens")
    with nullcontext() if arrays else refused:
        preflight(spec, of_trial(spec, Stores(), tmp_path / "work"))


def test_the_length_of_sentence_transformers_is_the_limit(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "model", "bert", "text-embedding")
    edit(folder / "sentence_bert_config.json", max_seq_length=24)
    limit = plan_source(folder, "text-embedding").limit
    assert limit == (24, "sentence_bert_config.json: max_seq_length")


def test_listed_families_have_no_pad_token() -> None:
    for kind in sorted(WITHOUT_PAD_TOKEN):
        assert CONFIG_MAPPING[kind]().get_text_config().pad_token_id is None, kind


def test_a_classifier_without_a_pad_token_is_refused(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "model", "gpt2", "text-classification")
    assert plan_source(folder, "text-classification").limit is not None
    for number in (None, -1, 50257):
        edit(folder / "config.json", pad_token_id=number)
        with pytest.raises(InvalidInput, match="names no pad_token_id") as caught:
            plan_source(folder, "text-classification")
        assert "pad_token_id = tokenizer.eos_token_id" in caught.value.remedy


@pytest.mark.parametrize("where", ["config.json", "tokenizer_config.json", "generation_config.json", ""])
def test_the_pad_token_may_be_in_any_file(tmp_path: Path, where: str) -> None:
    folder = text_model(tmp_path / "model", "llama", "text-embedding")
    word_tokenizer(folder, pad_token=None)
    edit(folder / "config.json", pad_token_id=None)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        edit(folder / name, pad_token=None)
    if where:
        edit(folder / where, **({"pad_token": "<mask>"} if where == "tokenizer_config.json" else {"pad_token_id": 4}))
        plan_source(folder, "text-embedding")
        assert tokenize(["a cat"], folder, 8)[1]["input_ids"] == 4
        return
    for refused in (lambda: plan_source(folder, "text-embedding"), lambda: tokenize(["a cat"], folder, 8)):
        with pytest.raises(InvalidInput, match=r"config\.json names a pad token") as caught:
            refused()
        assert "save_pretrained" in caught.value.remedy
