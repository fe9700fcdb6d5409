"""Model formats: Transformers directories, ONNX, GGUF, OpenVINO and torch.export, and conversions between them."""
