// data[i, g, y, x] -= frames[y, set, frame, x] with set = min(i, nset - 1), frame = g or, with hold, min(g, nframe - 1).
// data[nint, ngroup, ny, nx] and frames[ny, nset, nframe, nx] float32; one thread a pixel of an integration.
#include "gpujw.cuh"

GJ_KERNEL subtract_frames(float* data, const float* frames, const int64 n, const int64 ngroup, const int64 ny,
                          const int64 nx, const int64 nset, const int64 nframe, const int64 hold) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const int64 npixel = ny * nx, i = index / npixel, pixel = index % npixel;
  const int64 y = pixel / nx, x = pixel % nx, set = i < nset ? i : nset - 1;
  const int64 last = hold || ngroup < nframe ? ngroup : nframe;
  float* ramp = data + i * ngroup * npixel + pixel;
  const float* frame = frames + (y * nset + set) * nframe * nx + x;
  for (int64 g = 0; g < last; ++g) ramp[g * npixel] -= frame[(g < nframe ? g : nframe - 1) * nx];
}
