"""CUDA kernels: for each operation a ``.cu`` and its launcher; ``cpu_fallback`` mirrors the names."""
