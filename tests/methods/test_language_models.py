"""Import SmolLM2-135M from llama.cpp's format and check its perplexity on real text."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from compression_runner import artifact as artifacts
from compression_runner.dataset import load_samples
from compression_runner.formats.source.inspection import inspect
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compression_runner.storage import Stores
from compressionjob.data import EvaluationData
from compressionjob.locations import Storage, parse_location
from compressionjob.pod_interface import Role
from compressionjob.spec import Model
from samples.bible import kjv
from samples.smollm import smollm2_gguf

pytestmark = pytest.mark.real_data

WINDOW = 256


def test_an_imported_gguf_has_low_perplexity(tmp_path: Path) -> None:
    """The file has blocks of 4 bits, permuted queries and keys, tied embeddings and a byte-level tokenizer.

    A mistake in any of them raises the perplexity to thousands.
    """
    source = tmp_path / "source"
    smollm2_gguf(source)
    location = f"file://{source}"
    store = Stores().open(parse_location(location), Storage(), Role.MODEL, "spec.model.source")
    inspected = inspect(store, Model.model_validate({"source": location, "task": "text-generation"}))
    assert inspected.architecture == "llama, GGUF of Q4_1, Q8_0, F32"
    assert inspected.parameters == 134_515_008
    sealed = artifacts.seal(source, "gguf", "text-generation", weights=inspected.weights)
    (tmp_path / "imported").mkdir()
    context = StageContext(tmp_path / "imported", "spec.model.source")
    imported = METHODS["import", ""].run(sealed, None, context).artifact
    assert imported.size_bytes == pytest.approx(538e6, rel=0.001)
    losses = _losses(imported.path, tmp_path)
    # A memorized window, such as the beginning of Genesis, has a perplexity of about 4.
    assert 2 < np.exp(losses.mean()) < 30


def _losses(model_dir: Path, work: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    kjv(work)
    data = EvaluationData.model_validate({"source": "file:///kjv-test.parquet", "limit": 1})
    samples = load_samples(
        data, work / "kjv-test.parquet", task="text-generation", model_dir=model_dir, sequence_length=WINDOW
    )
    ids = torch.from_numpy(samples.samples[0]["input_ids"])[None]
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(model_dir)(ids).logits
    return torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none").numpy()
