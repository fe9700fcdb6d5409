"""Policies: one question about a job, one file, one test. ``reconcile`` tells in which order they are asked."""
