"""Latency and throughput, measured by MLPerf LoadGen."""
