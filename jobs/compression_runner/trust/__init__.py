"""What averages hide: groups, disturbed inputs, what answers rest on, and answers that change.

Nothing here is imported by a job that neither limits any of it nor names groups.
"""
