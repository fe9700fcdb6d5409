"""What an operations team looks at: a Grafana dashboard and Prometheus rules. ``python -m dashboards`` writes them."""
