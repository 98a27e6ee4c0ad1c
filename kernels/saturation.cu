// Saturation in three passes, one thread a pixel of an integration: its first saturated group, the flags that follow
// from the least of these in the box around it, and those grown from groups that were saturated in part.
// data[nint, ngroup, ny, nx] float32, groupdq of the same shape uint8, threshold, bias[ny, nx] float32, dq[ny, nx]
// uint32; first and partial[nint, ny, nx] int16; n = nint ny nx.
#include "dq.cuh"
#include "gpujw.cuh"

struct Pixel {
  int64 x, y, start, step;  // element g of its ramp is start + g * step
};

static __device__ Pixel pixel(const int64 i, const int64 ngroup, const int64 ny, const int64 nx) {
  const int64 frame = ny * nx;
  return {i % nx, i / nx % ny, i / frame * ngroup * frame + i % frame, frame};
}

// first: ngroup where no group is at or above the threshold.
GJ_KERNEL find_first(const float* data, uint8* groupdq, const float* threshold, short* first, const int64 n,
                     const int64 ngroup, const int64 ny, const int64 nx) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  const Pixel p = pixel(i, ngroup, ny, nx);
  const float full = threshold[p.y * nx + p.x];
  int64 found = ngroup;
  for (int64 g = ngroup - 1; g >= 0; --g) {
    const float counts = data[p.start + g * p.step];
    if (counts >= full || groupdq[p.start + g * p.step] & SATURATED) found = g;
    if (counts <= 0.0f) groupdq[p.start + g * p.step] |= AD_FLOOR | DO_NOT_USE;
  }
  first[i] = (short)found;
}

// The group before the first flagged: were its last frames saturated, which the average of nframes dilutes?
static __device__ bool is_partial(const float counts, const uint8 flags, const float full, const uint32 dq,
                                  const int64 g, const int64 nframes) {
  if (flags & DO_NOT_USE || dq & NO_SAT_CHECK) return false;
  const double dilution = ((double)(g * nframes) + (double)(nframes + 1) / 2) / (double)((g + 1) * nframes);
  return (double)counts >= (double)full * dilution;
}

// The third group saturates: the first does not foretell it, and the second leapt.
static __device__ bool is_leap(const float start, const float counts, const float full, const float zero,
                               const int64 nframes) {
  const double expected = (double)(start - zero) / ((double)(nframes + 1) / 2) * (double)(3 * nframes) + (double)zero;
  return expected < (double)full && counts - start > (full - start) / (float)nframes;
}

// partial: one more than the group that was saturated in part, 0 where none was.
GJ_KERNEL flag_saturated(const float* data, uint8* groupdq, const float* threshold, const uint32* dq,
                         const float* bias, const short* first, short* partial, const int64 n, const int64 ngroup,
                         const int64 ny, const int64 nx, const int64 grow, const int64 nframes) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  const Pixel p = pixel(i, ngroup, ny, nx);
  int64 near = ngroup;
  for (int64 y = max(p.y - grow, (int64)0); y <= min(p.y + grow, ny - 1); ++y)
    for (int64 x = max(p.x - grow, (int64)0); x <= min(p.x + grow, nx - 1); ++x)
      near = min(near, (int64)first[i + (y - p.y) * nx + x - p.x]);
  for (int64 g = near; g < ngroup; ++g) groupdq[p.start + g * p.step] |= SATURATED;
  const int64 g = near - 1;
  partial[i] = 0;
  if (nframes == 0 || g < 0 || g >= ngroup - 1) return;
  const float counts = data[p.start + g * p.step], full = threshold[p.y * nx + p.x];
  if (is_partial(counts, groupdq[p.start + g * p.step], full, dq[p.y * nx + p.x], g, nframes)) partial[i] = (short)near;
  if (g == 1 && is_leap(data[p.start], counts, full, bias[p.y * nx + p.x], nframes))
    groupdq[p.start + p.step] |= DO_NOT_USE;
}

GJ_KERNEL flag_partial(uint8* groupdq, const short* partial, const int64 n, const int64 ngroup, const int64 ny,
                       const int64 nx, const int64 grow) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  const Pixel p = pixel(i, ngroup, ny, nx);
  for (int64 y = max(p.y - grow, (int64)0); y <= min(p.y + grow, ny - 1); ++y)
    for (int64 x = max(p.x - grow, (int64)0); x <= min(p.x + grow, nx - 1); ++x) {
      const int64 near = partial[i + (y - p.y) * nx + x - p.x];
      if (near != 0) groupdq[p.start + (near - 1) * p.step] |= DO_NOT_USE;
    }
}
