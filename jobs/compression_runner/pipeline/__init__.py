"""Run a job: plan, checkpoints, measurement, publication and report."""
