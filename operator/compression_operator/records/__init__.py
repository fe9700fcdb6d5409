"""What the operator remembers of each object: the few facts that reconcile needs, and nothing else.

10,000 jobs must fit into memory, so specs and statuses are kept as JSON text and read when they are needed, and
managedFields, pod specs and the like are dropped at the door.
"""
