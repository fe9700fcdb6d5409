"""The alerts, each with a runbook."""
