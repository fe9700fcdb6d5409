"""``kubectl compress``: CompressionJobs submitted, followed, compared, reviewed and tried again from a terminal.

It lies in ``operator/`` because the top level of the repository is fixed. It does not belong to the operator: it
imports the contract alone, and reaches the cluster through kubectl.
"""
