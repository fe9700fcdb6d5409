"""A real Kueue in the local cluster, for tests of queued jobs. It is built from its Go module.

kueue.ensure()      # build it once (minutes), apply it and wait until it is ready; quick if it runs already
kueue.is_built()    # whether it is built
kueue.remove()      # remove it from the cluster, with all queues
"""

from localcluster.kueue.build import is_built
from localcluster.kueue.installation import ensure, remove

__all__ = ["ensure", "is_built", "remove"]
