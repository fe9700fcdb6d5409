"""A real Kueue in the local cluster, for tests of queued jobs: built from its Go module, installed by its manifests.

kueue.ensure()      # builds it once (minutes), applies it and waits until it answers; quick when it already does
kueue.is_built()    # whether ensure() would build nothing
kueue.remove()      # takes it out of the cluster, with all queues
"""

from localcluster.kueue.build import is_built
from localcluster.kueue.installation import ensure, remove

__all__ = ["ensure", "is_built", "remove"]
