// One integration of one pixel: its groups as a fit takes them, and the segments between flagged groups.
#pragma once
#include "dq.cuh"
#include "gpujw.cuh"

constexpr uint32 INVALID = DO_NOT_USE | SATURATED;

struct Times {
  double group, alone, zero;  // s: between groups, of a first group that is alone, of the zero frame
};

struct Ramp {
  const float* data;  // of the first group to use; the next one lies `frame` further
  const uint8* groupdq;
  const int64 frame;
  const int n;
  float f0;  // the first group, which may be that of the zero frame
  uint32 q0;
  uint32 all;  // flags that all groups have besides
  double time;  // of a group that is alone
  bool lone;    // the first group is all there is
  uint32 flags;  // of the integration

  __device__ float f(const int k) const { return k ? data[k * frame] : f0; }
  __device__ uint32 q(const int k) const { return (k ? groupdq[k * frame] : q0) | all; }
  __device__ uint32 origin(const int k) const { return groupdq[k * frame]; }

  // A difference of groups that are in use, NaN of others.
  __device__ float operator()(const int k) const {
    return (q(k) & INVALID) | (q(k + 1) & (INVALID | JUMP_DET)) ? nanf("") : f(k + 1) - f(k);
  }
};

// A ramp of one group is suppressed, or timed, or one of none replaced by the zero frame. `first` and `n`: groups to use.
__device__ inline Ramp ramp_of(const float* data, const uint8* groupdq, const float* zeroframe, const int64 frame,
                               const int first, const int n, const int ngroup, const bool suppress, const Times times) {
  Ramp ramp = {data + first * frame, groupdq + first * frame, frame, n, 0, 0, 0, times.group, false, 0};
  int good = 0, clear = 0, saturated = 0, invalid = 0;
  for (int k = 0; k < ngroup; ++k) good += (groupdq[k * frame] & ~PERSISTENCE) == 0;
  ramp.f0 = ramp.data[0];
  ramp.q0 = first > 0 ? ramp.groupdq[0] & ~JUMP_DET : ramp.groupdq[0];  // a jump from a group not in use is none
  for (int k = 0; k < n; ++k) {
    const uint32 flags = ramp.q(k);
    ramp.flags |= flags & (JUMP_DET | PERSISTENCE | CHARGELOSS);
    clear += flags == 0;
    saturated += (flags & SATURATED) != 0;
    invalid += (flags & INVALID) != 0;
  }
  if (suppress) {
    if (good == 1) ramp.all = DO_NOT_USE;
  } else if (clear == 1 && ramp.q0 == 0) {
    ramp.lone = true;
    ramp.time = times.alone;
  } else if (clear == 0 && zeroframe && *zeroframe != 0) {
    ramp.lone = true;
    ramp.time = times.zero;
    ramp.f0 = *zeroframe;
    ramp.q0 = 0;
    saturated -= saturated == n;
    invalid = 0;
  }
  if (saturated) ramp.flags |= SATURATED;
  if (invalid == n || ramp.all || ramp.q0 & SATURATED) ramp.flags |= DO_NOT_USE;
  return ramp;
}

// visit(start, n) for each run of good groups: q(k) is 0 but for PERSISTENCE. A run begins with the group before it where
// that is flagged as a jump and nothing else: the jump lies before it. Runs of one group count only where there is no
// other, and then the first of them.
template <class Flags, class Visit>
__device__ void for_segments(const Flags& q, const int n, const Visit& visit) {
  int start = -1, alone = -1;
  uint32 before = 0;
  bool fitted = false;
  for (int k = 0; k <= n; ++k) {
    const uint32 flags = k < n ? q(k) & ~PERSISTENCE : DO_NOT_USE;
    if (flags == 0) {
      if (start < 0) start = before == JUMP_DET ? k - 1 : k;
    } else if (start >= 0) {
      if (k - start > 1) {
        visit(start, k - start);
        fitted = true;
      } else if (alone < 0) {
        alone = start;
      }
      start = -1;
    }
    before = flags;
  }
  if (!fitted && alone >= 0) visit(alone, 1);
}
