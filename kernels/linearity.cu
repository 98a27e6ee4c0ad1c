// data <- sum_k coeffs[k] data^k, Horner in float32 as the peer; saturated groups pass unchanged.
// data[nint, ngroup, ny, nx] float32, groupdq of the same shape uint8, coeffs[ny, ncoeff, nx] float32,
// inverse[ny, ninverse, nx] float32; one thread a pixel of an integration.
#include "dq.cuh"
#include "gpujw.cuh"

// The polynomial of one pixel, its terms `stride` apart, in the precision of `value`.
template <class Real>
__device__ Real polynomial(const float* c, const int64 n, const int64 stride, const Real f) {
  Real value = c[(n - 1) * stride];
  for (int64 k = n - 2; k >= 0; --k) value = value * f + c[k * stride];
  return value;
}

GJ_KERNEL linearize(float* data, const uint8* groupdq, const float* coeffs, const int64 n, const int64 ngroup,
                    const int64 ny, const int64 nx, const int64 ncoeff) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const int64 npixel = ny * nx, pixel = index % npixel;
  const int64 start = index / npixel * ngroup * npixel + pixel;
  const float* c = coeffs + pixel / nx * ncoeff * nx + pixel % nx;
  for (int64 g = 0; g < ngroup; ++g) {
    const int64 i = start + g * npixel;
    if (!(groupdq[i] & SATURATED)) data[i] = polynomial(c, ncoeff, nx, data[i]);
  }
}

GJ_KERNEL linearize_reads(float* data, const uint8* groupdq, const float* coeffs, const float* inverse, const int64 n,
                          const int64 ngroup, const int64 ny, const int64 nx, const int64 ncoeff, const int64 ninverse,
                          const int64 nframe) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const int64 npixel = ny * nx, pixel = index % npixel;
  float* ramp = data + index / npixel * ngroup * npixel + pixel;
  const uint8* flags = groupdq + index / npixel * ngroup * npixel + pixel;
  const float* c = coeffs + pixel / nx * ncoeff * nx + pixel % nx;
  const float* d = inverse + pixel / nx * ninverse * nx + pixel % nx;

  int64 good = 0;
  for (int64 g = 0; g < ngroup; ++g) good += !(flags[g * npixel] & SATURATED);
  int64 last = (good - 1 > 2 ? good - 1 : 2) - 1;
  if (last > ngroup - 1) last = ngroup - 1;
  float ends[2];
  for (int end = 0; end < 2; ++end) {
    const int64 i = end ? last * npixel : 0;
    ends[end] = flags[i] & SATURATED ? ramp[i] : polynomial(c, ncoeff, nx, ramp[i]);
  }
  const double first = ends[0], rate = last > 0 ? (double)(ends[1] - ends[0]) / (double)(last * nframe) : 0;

  for (int64 g = 0; g < ngroup; ++g) {
    const int64 i = g * npixel;
    if (flags[i] & SATURATED) continue;
    const double start = g * nframe - 0.5 * (nframe - 1);
    double total = 0;
    for (int64 j = 0; j < nframe; ++j) total += polynomial(d, ninverse, nx, first + rate * (start + j));
    const double shift = ramp[i] - total / nframe;
    total = 0;
    for (int64 j = 0; j < nframe; ++j) {
      const double read = polynomial(d, ninverse, nx, first + rate * (start + j)) + shift;
      total += polynomial(c, ncoeff, nx, read);
    }
    ramp[i] = total / nframe;
  }
}
