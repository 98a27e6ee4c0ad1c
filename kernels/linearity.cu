// data <- sum_k coeffs[k] data^k, Horner in float32 as the peer; saturated groups pass unchanged.
// data[nint, ngroup, ny, nx] float32, groupdq of the same shape uint8, coeffs[ny, ncoeff, nx] float32.
#include "dq.cuh"
#include "gpujw.cuh"

GJ_KERNEL linearize(float* data, const uint8* groupdq, const float* coeffs, const int64 n, const int64 ny,
                    const int64 nx, const int64 ncoeff) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  if (groupdq[i] & SATURATED) return;
  const int64 x = i % nx, y = i / nx % ny;
  const float* c = coeffs + y * ncoeff * nx + x;
  const float f = data[i];
  float value = c[(ncoeff - 1) * nx];
  for (int64 k = ncoeff - 2; k >= 0; --k) value = value * f + c[k * nx];
  data[i] = value;
}
