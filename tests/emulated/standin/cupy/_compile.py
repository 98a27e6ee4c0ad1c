"""CUDA C++ to a shared library: g++ with ``tests/emulated/cuda``, kept in the temporary folder by what went in.

``GPUJW_EMULATE`` chooses how: ``fast`` (the default), ``asan`` (AddressSanitizer and UBSan) or ``tsan``; for the last
two the sanitizer must be loaded before Python, as ``tests/test_emulated.py`` does.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from cupy.cuda.compiler import CompileException

HEADERS = Path(__file__).parents[2] / "cuda"
MODE = os.environ.get("GPUJW_EMULATE", "fast")
CHECKED = ["-O1", "-g", "-DEMU_CHECK", "-fno-omit-frame-pointer"]
FLAGS = {
    "fast": ["-O3", "-fno-math-errno", "-fno-trapping-math"],
    # Of a float that no integer can hold CUDA makes the nearest, x86 the least: where the two would part is a fault.
    "asan": [*CHECKED, "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"],
    "tsan": [*CHECKED, "-fsanitize=thread"],
}
ALWAYS = [
    *("-x", "c++", "-shared", "-fPIC", "-fvisibility=hidden", "-fopenmp", "-pthread"),
    *("-ffp-contract=off", "-Wall", "-Wno-unknown-pragmas", "-Wno-unused-function"),
]
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\(([^)]*)\)\s*)?(\w+)\s*\(')


class Library:
    """A compiled module: its kernels by name, each with its signature and the largest block it was compiled for."""

    def __init__(self, path, kernels):
        self.path = path
        self.names = [name for _, name in kernels]
        self.bounds = {name: _bound(bounds) for bounds, name in kernels}
        self._library = ctypes.CDLL(str(path))

    def kernel(self, name):
        number = self.names.index(name)
        signature = self._library[f"emu_signature{number}"]
        signature.restype = ctypes.c_char_p
        return self._library[f"emu_run{number}"], signature().decode().split()


def _bound(bounds):
    first = bounds.split(",")[0].strip()
    return int(first) if first.isdigit() else 1024


def build(code, options):
    """The library of a source text, compiled unless it was before."""
    flags = translate(options)
    preprocessed = run(["g++", "-E", "-x", "c++", *flags, "-"], code)
    kernels = KERNEL.findall(re.sub(r"^#.*$", "", preprocessed, flags=re.MULTILINE))
    command = ["g++", *ALWAYS, *flags, *FLAGS[MODE]]
    path = folder() / f"{MODE}-{digest(preprocessed, str(kernels), *command)}.so"
    if not path.exists():
        compile_to(path, command, code, [name for _, name in kernels])
    return Library(path, kernels)


def compile_to(path, command, code, names):
    exports = "".join(f"EMU_EXPORT({i}, {name})\n" for i, name in enumerate(names))
    partial = path.with_suffix(f".{os.getpid()}")
    run([*command, "-", "-o", str(partial)], f'#include "{HEADERS / "emulate.h"}"\n{code}\n{exports}')
    partial.replace(path)


def translate(options):
    """NVRTC's options as g++ knows them."""
    if "--fmad=false" not in options:
        raise CompileException("the emulator rounds every product, as NVRTC does with --fmad=false: ask for it")
    unknown = [text for text in options if not text.startswith(("-D", "-I", "-std=", "--fmad=false"))]
    if unknown:
        raise CompileException(f"the emulator does not know {unknown}: see {__file__}")
    return [text for text in options if text != "--fmad=false"]


@cache
def folder():
    path = Path(tempfile.gettempdir()) / f"gpujw-emulated-{os.getuid()}"
    path.mkdir(exist_ok=True)
    return path


@cache
def fixed():
    """What every library depends on: the headers, and the compiler."""
    headers = [path.read_text() for path in sorted(HEADERS.glob("*.h"))]
    return "\0".join([run(["g++", "--version"], ""), *headers])


def digest(*parts):
    return hashlib.sha256("\0".join([fixed(), *parts]).encode()).hexdigest()[:20]


def run(command, text):
    if not shutil.which(command[0]):
        raise CompileException("g++ was not found: apt-get install g++ (Debian), dnf install gcc-c++ (Fedora)")
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileException(done.stderr)
    return done.stdout
