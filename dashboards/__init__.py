"""Grafana dashboards and Prometheus rules. ``python -m dashboards`` writes them."""
