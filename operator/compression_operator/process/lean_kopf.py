"""kopf, imported without the kubernetes client library.

kopf imports that library wherever it is installed, to recognise its model classes, which the operator never uses: 62 MB
of memory and a second of CPU. Other modules can still import it.
"""

import sys
from typing import Any, cast

_UNUSED = "kubernetes"

if _UNUSED in sys.modules:
    import kopf
else:
    # The documented way to make an import fail; kopf handles it as "not installed".
    cast("dict[str, Any]", sys.modules)[_UNUSED] = None
    try:
        import kopf
    finally:
        del sys.modules[_UNUSED]

__all__ = ["kopf"]
