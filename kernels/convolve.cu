// data <- sum_k kernel[k] source, in float32, the kernel's middle last as the peer; zero beyond the edges.
// source, data[ngroup, ny, nx] float32, kernel[ky, kx] float32; n = ngroup ny nx.
#include "gpujw.cuh"

GJ_KERNEL convolve(const float* source, float* data, const float* kernel, const int64 n, const int64 ny, const int64 nx,
                   const int64 ky, const int64 kx, const int64 bottom, const int64 top, const int64 left,
                   const int64 right) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  const int64 x = i % nx, y = i / nx % ny;
  if (y < bottom || y >= ny - top || x < left || x >= nx - right) return;
  const int64 middle = ky * kx / 2;
  float sum = 0.0f;
  for (int64 term = 0; term < ky * kx; ++term) {
    const int64 k = term == ky * kx - 1 ? middle : term + (term >= middle);
    const int64 dy = ky / 2 - k / kx, dx = kx / 2 - k % kx;
    if (y + dy < bottom || y + dy >= ny - top || x + dx < left || x + dx >= nx - right) continue;
    sum += kernel[k] * source[i + dy * nx + dx];
  }
  data[i] = sum;
}
