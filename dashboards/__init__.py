"""What an operations team looks at: Grafana dashboards and Prometheus rules. ``python -m dashboards`` writes them."""
