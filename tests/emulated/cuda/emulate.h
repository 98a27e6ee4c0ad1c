// Runs CUDA C++ kernels, the subset this project uses, on the CPU. One translation unit a module:
//   #include "emulate.h", then the .cu, then EMU_EXPORT(0, first_kernel) EMU_EXPORT(1, second_kernel) ...
//
// Blocks are spread over OpenMP threads. The threads of a block share one OS thread: a fiber runs CUDA thread after
// CUDA thread until one of them waits at a barrier or in a warp operation; only then another fiber is made. So a kernel
// without barriers is a plain loop.
//
// It reports divergent barriers, deadlocks, and warp operations whose mask names lanes that do not take part; it runs
// threads forward, in reverse or shuffled; with EMU_CHECK, under a sanitizer, shared memory has redzones and belongs to
// one block.
//
// It does not flush denormals to zero, has glibc's libm instead of CUDA's, and knows no cooperative groups, textures or
// cp.async.
#pragma once

#include "spelling.h"

#include "fiber.h"

#include "block.h"

#include "launch.h"

#include "device.h"
