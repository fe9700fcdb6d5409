"""Trimmed records of cluster objects: only the fields that reconcile needs.

10,000 jobs must fit into memory. So specs and statuses are kept as JSON text and parsed when they are needed, and
managedFields, pod specs and similar fields are dropped.
"""
