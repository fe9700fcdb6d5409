"""The two formats of a model, and the way from one to the other: Transformers directory and ONNX."""
