"""Intervals: order statistics, bootstraps and exact intervals of shares."""
