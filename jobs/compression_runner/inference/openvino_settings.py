"""How OpenVINO is asked to run on a CPU; the memory probe has the same, and imports nothing else of this project."""


def cpu_settings(threads: int) -> dict[str, str]:
    """Return the properties of a compiled model that answers one query at a time with so many threads.

    INFERENCE_PRECISION_HINT keeps float32 what it is: the default is bfloat16 on CPUs that have it, and a baseline
    would be measured at another precision than it is stored in. ENABLE_CPU_PINNING would take the calling thread, too,
    off the CPUs that this process is pinned to.
    """
    return {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": "NO",
    }
