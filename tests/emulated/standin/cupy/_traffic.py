"""What crosses between host and device, counted: a step that stalls a GPU must show here."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields


@dataclass
class Counts:
    """Arrays and bytes moved each way, and scalars read back (each read waits for all work before it)."""

    uploads: int = 0
    upload_bytes: int = 0
    downloads: int = 0
    download_bytes: int = 0
    reads: int = 0


class Traffic(Counts):
    """The counts of this process, since it began."""

    _lock = threading.Lock()

    def upload(self, nbytes):
        with self._lock:
            self.uploads += 1
            self.upload_bytes += nbytes

    def download(self, nbytes):
        with self._lock:
            self.downloads += 1
            self.download_bytes += nbytes

    def read(self):
        with self._lock:
            self.reads += 1

    def snapshot(self):
        with self._lock:
            return Counts(**asdict(self))

    def since(self, before):
        now = self.snapshot()
        return Counts(**{f.name: getattr(now, f.name) - getattr(before, f.name) for f in fields(Counts)})


traffic = Traffic()
