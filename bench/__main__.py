"""``python -m bench detector1 --against jwst``: whole commands, A B A B, printed and written to a JSON file."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from bench import detector1, floor, machine


def main() -> None:
    """Parse the command line, run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("pipeline", choices=["detector1"])
    parser.add_argument("--against", choices=["jwst"], help="measure the peer in the same run")
    parser.add_argument("--device", default="cpu", help="where gpujw computes: cpu, or a device's number")
    parser.add_argument(
        "--shape", action="append", choices=sorted(detector1.SHAPES), help="this shape only (repeatable)"
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured")
    parser.add_argument(
        "--work", type=Path, help="folder for exposures and products; a RAM disk leaves the disk's speed out"
    )
    parser.add_argument("--out", type=Path, help="the JSON file [default: bench/results/<pipeline>-<device>.json]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work or machine.ram_disk()) as folder:
        rows = [
            detector1.measure(name, Path(folder), options.device, options.rounds, peer=options.against == "jwst")
            for name in options.shape or detector1.SHAPES
        ]
    about = machine.describe()
    found = {"machine": about, "device": options.device, "rounds": options.rounds, "shapes": rows}
    out = options.out or Path(__file__).parent / "results" / f"{options.pipeline}-{options.device}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(detector1.table(rows))
    for row in rows:
        print(floor.table(row, float(str(about["copy_gb_s"]))))
    print(f"written to {out}")


main()
