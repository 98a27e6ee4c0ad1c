// One pixel's ramps, and the differences of their successive groups, as jumps are searched for in them.
#pragma once
#include "dq.cuh"
#include "gpujw.cuh"

constexpr uint8 BAD = DO_NOT_USE | SATURATED;
constexpr uint8 JUMP = JUMP_DET;

struct Pixel {
  const float* data;  // of the pixel's first group; the next one lies `frame` further
  uint8* groupdq;
  const float gain;
  const int64 frame;
  const int nint, ngroup;

  __device__ Pixel(const float* data, uint8* groupdq, const float* gain, const int64 at, const int64 nint,
                   const int64 ngroup, const int64 frame)
      : data(data + at), groupdq(groupdq + at), gain(gain[at]), frame(frame), nint((int)nint), ngroup((int)ngroup) {}

  __device__ uint8& flags(const int i, const int g) const { return groupdq[((int64)i * ngroup + g) * frame]; }

  // Electrons that group g has more than the one before it; NaN where either is unusable.
  __device__ float difference_to(const int i, const int g) const {
    if ((flags(i, g - 1) | flags(i, g)) & BAD) return nanf("");
    const float* after = data + ((int64)i * ngroup + g) * frame;
    return after[0] * gain - after[-frame] * gain;
  }

  __device__ int differences() const { return nint * (ngroup - 1); }
  __device__ float operator()(const int j) const { return difference_to(j / (ngroup - 1), j % (ngroup - 1) + 1); }

  // How many groups have a jump already; from those that are unusable it is taken away.
  __device__ int count_jumps() const {
    int count = 0;
    for (int i = 0; i < nint; ++i) {
      for (int g = 0; g < ngroup; ++g) {
        const uint8 was = flags(i, g);
        if (!(was & JUMP)) continue;
        ++count;
        if (was & BAD) flags(i, g) = was & ~JUMP;
      }
    }
    return count;
  }
};
