"""Answers to noise, corruptions, typos and attacks."""
