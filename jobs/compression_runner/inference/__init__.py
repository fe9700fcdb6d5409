"""Inference engines: the interface of a predictor, and one module per engine.

Import nothing here: the memory probe imports `openvino_settings` in a fresh process that must stay small.
"""
