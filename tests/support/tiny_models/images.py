"""Tiny image and video models, and graphs without a checkpoint."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
)


def resnet(folder: Path, *, labels: int = 3) -> Path:
    """Write a ResNet of two stages for one channel of 16 by 16 pixels."""
    torch.manual_seed(7)
    config = ResNetConfig(
        num_channels=1,
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        num_labels=labels,
        id2label={i: f"class-{i}" for i in range(labels)},
    )
    ResNetForImageClassification(config).eval().save_pretrained(folder)
    settings = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 16, "width": 16}}
    settings |= {"image_mean": [0.5], "image_std": [0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def swin(folder: Path) -> Path:
    """Write a Swin of two stages for three channels of 32 by 32 pixels."""
    torch.manual_seed(7)
    config = SwinConfig(embed_dim=16, depths=[1, 1], num_heads=[2, 2], image_size=32, patch_size=4, window_size=4)
    SwinForImageClassification(config).eval().save_pretrained(folder)
    return folder


def perceptron(folder: Path, *, width: int = 64, external: bool = False) -> Path:
    """Write an ONNX graph of two layers, (batch, width) to (batch, 4), with internal or external weights."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    first = random.normal(size=(width, width)).astype(np.float32)
    second = random.normal(size=(width, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("MatMul", ["active", "second"], ["y"]),
        ],
        "perceptron",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    if external:
        onnx.save_model(model, folder / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    else:
        onnx.save(model, folder / "model.onnx")
    return folder


def video_classifier(folder: Path, *, labels: int = 3) -> Path:
    """Write a VideoMAE of one layer for 4 frames of 16 by 16 pixels."""
    torch.manual_seed(7)
    config = VideoMAEConfig(
        image_size=16,
        patch_size=8,
        num_frames=4,
        tubelet_size=2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label={i: f"class-{i}" for i in range(labels)},
    )
    VideoMAEForVideoClassification(config).eval().save_pretrained(folder)
    settings = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    settings |= {"image_processor_type": "VideoMAEImageProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def convolutional(folder: Path, *, size: int = 12) -> Path:
    """Write an ONNX graph of two convolutions with BatchNorm and a residual, (batch, 1, size, size) to 3 logits."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    weights = {
        "first": random.normal(size=(8, 1, 3, 3)) * 0.5,
        "second": random.normal(size=(8, 8, 3, 3)) * 0.2,
        "head": random.normal(size=(8, 3)),
        "bias": random.normal(size=3),
    }
    for name in ("one", "two"):
        weights |= {f"{name}_scale": random.uniform(0.5, 2, 8), f"{name}_shift": random.normal(size=8)}
        weights |= {f"{name}_mean": random.normal(size=8) * 0.1, f"{name}_variance": random.uniform(0.5, 2, 8)}

    def normalised(name: str, before: str, after: str) -> onnx.NodeProto:
        parts = [f"{name}_{part}" for part in ("scale", "shift", "mean", "variance")]
        return helper.make_node("BatchNormalization", [before, *parts], [after], name=name)

    nodes = [
        helper.make_node("Conv", ["pixel_values", "first"], ["a"], name="conv_1", pads=[1, 1, 1, 1]),
        normalised("one", "a", "b"),
        helper.make_node("Relu", ["b"], ["c"], name="relu_1"),
        helper.make_node("Conv", ["c", "second"], ["d"], name="conv_2", pads=[1, 1, 1, 1]),
        normalised("two", "d", "e"),
        helper.make_node("Add", ["e", "c"], ["f"], name="residual"),
        helper.make_node("Relu", ["f"], ["g"], name="relu_2"),
        helper.make_node("GlobalAveragePool", ["g"], ["h"], name="pool"),
        helper.make_node("Flatten", ["h"], ["i"], name="flatten"),
        helper.make_node("Gemm", ["i", "head", "bias"], ["logits"], name="gemm"),
    ]
    graph = helper.make_graph(
        nodes,
        "convolutional",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 1, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder
