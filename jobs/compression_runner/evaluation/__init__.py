"""What judges a compressed model beside its baseline: quality, speed, memory and trust, with intervals.

Import nothing here: `machine.memory_probe` runs in a fresh process that must stay small.
"""
