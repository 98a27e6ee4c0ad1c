"""The CPU twins of ``gpujw.kernels``: the same stems and functions, numba where loops are hot."""
