"""Quantization methods, one folder each. A new method is a folder, and a line in METHODS."""

from collections.abc import Mapping
from typing import Final

from compression_runner.methods.quantize import cast, dynamic, engine, qat, static, vllm, vllm_int8, weight_only
from compression_runner.stages.method import Method

METHODS: Final[Mapping[str, Method]] = {
    "dynamic": dynamic.METHOD,
    "static": static.METHOD,
    "weight-only": weight_only.METHOD,
    "cast": cast.METHOD,
    "qat": qat.METHOD,
    "engine": engine.METHOD,
    "vllm": vllm.METHOD,
    "vllm-int8": vllm_int8.METHOD,
}
