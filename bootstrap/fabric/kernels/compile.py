#!/usr/bin/env python3
"""Compiles blocks.cu to blocks.ptx, or compares the two: compile.py [--check]

The compiler is CUDA's own, from the wheel nvidia-cuda-nvrtc-cu12 of PyPI at the version that tests/requirements.txt
pins by hash. The wheels of nvcc for CUDA 12 lack the nvcc program itself, and those of CUDA 13 write a PTX that only
drivers from 580 on read; NVRTC is the same compiler as a library. Version 12.0 writes PTX 8.0, which every driver
from 525 on compiles, for the oldest GPU of the catalogue's types.
"""

import ctypes
import pathlib
import sys

ARCHITECTURE = "compute_75"  # g4dn's T4; the driver compiles for every newer GPU
VERSION = "12.0.76"
HERE = pathlib.Path(__file__).resolve().parent
HEADER = f"// Compiled from blocks.cu by compile.py: NVRTC {VERSION}, {ARCHITECTURE}. Not edited by hand.\n"


def library():
    import importlib.metadata
    import nvidia.cuda_nvrtc

    found = importlib.metadata.version("nvidia-cuda-nvrtc-cu12")
    if found != VERSION:
        sys.exit(f"found NVRTC {found}, expected {VERSION}; install the version that tests/requirements.txt pins")
    folder = pathlib.Path(nvidia.cuda_nvrtc.__path__[0]) / "lib"
    return ctypes.CDLL(str(folder / "libnvrtc.so.12"))


def compile_kernels(source):
    nvrtc = library()
    program = ctypes.c_void_p()

    def call(name, *arguments):
        if getattr(nvrtc, name)(*arguments) != 0:
            size = ctypes.c_size_t()
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value or 1)
            nvrtc.nvrtcGetProgramLog(program, log)
            sys.exit(f"{name} failed on blocks.cu:\n{log.value.decode()}")

    call("nvrtcCreateProgram", ctypes.byref(program), source, b"blocks.cu", 0, None, None)
    options = [f"--gpu-architecture={ARCHITECTURE}".encode(), b"--std=c++17"]
    call("nvrtcCompileProgram", program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    call("nvrtcGetPTXSize", program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    call("nvrtcGetPTX", program, text)
    return HEADER + text.value.decode()


def main():
    ptx = compile_kernels((HERE / "blocks.cu").read_bytes())
    target = HERE / "blocks.ptx"
    if sys.argv[1:] == ["--check"]:
        if not target.exists() or target.read_text() != ptx:
            sys.exit("blocks.ptx is not what blocks.cu compiles to; run compile.py and commit both")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        target.write_text(ptx)


main()
