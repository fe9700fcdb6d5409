"""``kubectl compress``: submit, follow, compare, review and retry CompressionJobs from a terminal.

It is in ``operator/`` because the top level of the repository is fixed. It does not belong to the operator: it imports
only the contract, and reaches the cluster through kubectl.
"""
