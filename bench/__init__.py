"""Timings of whole commands and of single kernels, beside the peer in one run; ``results/`` keeps what was measured."""
