"""Policies: one decision about a job, one file, one test. ``loop.reconcile`` defines their order."""
