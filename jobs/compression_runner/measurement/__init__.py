"""Quality, latency, throughput and memory of a compressed model beside its baseline, with intervals.

Imports nothing here: memory_probe runs in a fresh process that must stay small.
"""
