"""The peer in a process of its own: ``python bench/peer.py UNCAL OUT PARAMETERS`` prints its seconds as JSON.

Wall time of ``Detector1Pipeline.call``, imports excluded; peak memory of the process.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import warnings

warnings.filterwarnings("ignore")


def main() -> None:
    """Run the peer once."""
    uncal, out, parameters = sys.argv[1:]
    from jwst.pipeline import Detector1Pipeline

    logging.disable(logging.CRITICAL)
    steps = json.loads(parameters)
    start = time.perf_counter()
    Detector1Pipeline.call(uncal, output_dir=out, save_results=True, steps=steps)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "peak_gib": peak}))


main()
