"""Accuracy of both models under noise, corruptions, typos and attacks."""
