"""OpenVINO's settings on a CPU; the memory probe imports only this module of the project."""


def cpu_settings(threads: int) -> dict[str, str]:
    """Return the properties of a compiled model that answers one query at a time with `threads` threads.

    INFERENCE_PRECISION_HINT keeps float32: the default is bfloat16 on CPUs that support it, and a baseline would be
    measured at a different precision than it is stored in. ENABLE_CPU_PINNING would move the calling thread off the
    CPUs that this process is pinned to.
    """
    return {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": "NO",
    }
