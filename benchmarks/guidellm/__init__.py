"""Overhead of the serving benchmark's client beside GuideLLM."""
