// Kernels that are right, and use all of CUDA that the emulator knows.
#include "gpujw.cuh"

struct Line {
  double slope, start;
  int power;
};

// out = (slope x + start)^power: a struct by value, no barrier.
GJ_KERNEL __launch_bounds__(256) curve(const float* x, float* out, const int64 n, const Line line) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  out[i] = pow(line.slope * x[i] + line.start, (double)line.power);
}

__device__ double warp_sum(double v) {
  for (int by = 16; by > 0; by >>= 1) v += __shfl_down_sync(GJ_FULL, v, by);
  return v;
}

// Each block's number, sum and sum of squares of the values in [low, high]: shuffles, then shared memory.
GJ_KERNEL moments(const float* x, const int64 n, const float low, const float high, double* out, uint32* total) {
  GJ_SHARED(double, partial, 3 * 32);
  double sums[3] = {0, 0, 0};
  for (int64 i = GJ_INDEX; i < n; i += (int64)gridDim.x * blockDim.x) {
    if (!(x[i] >= low && x[i] <= high)) continue;
    sums[0] += 1;
    sums[1] += x[i];
    sums[2] += (double)x[i] * x[i];
  }
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, nwarp = (blockDim.x + 31) >> 5;
  for (int k = 0; k < 3; k++) {
    const double sum = warp_sum(sums[k]);
    if (lane == 0) partial[k * 32 + warp] = sum;
  }
  __syncthreads();
  if (warp != 0) return;
  for (int k = 0; k < 3; k++) {
    const double sum = warp_sum(lane < nwarp ? partial[k * 32 + lane] : 0.0);
    if (lane == 0) out[3 * blockIdx.x + k] = sum;
    if (lane == 0 && k == 0) atomicAdd(total, (uint32)sum);
  }
}

// The median of each block's tile, a power of two long: a bitonic sort in dynamic shared memory, with many barriers.
GJ_KERNEL tile_median(const float* x, float* median, const int tile) {
  GJ_DYN_SHARED(float, s);
  for (int i = threadIdx.x; i < tile; i += blockDim.x) s[i] = x[(int64)blockIdx.x * tile + i];
  for (int k = 2; k <= tile; k <<= 1) {
    for (int j = k >> 1; j > 0; j >>= 1) {
      __syncthreads();
      for (int i = threadIdx.x; i < tile; i += blockDim.x) {
        const int other = i ^ j;
        if (other <= i) continue;
        const float a = s[i], b = s[other];
        if ((a > b) == ((i & k) == 0)) s[i] = b, s[other] = a;
      }
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) median[blockIdx.x] = 0.5f * (s[tile / 2 - 1] + s[tile / 2]);
}

// Which columns of a [ny, nx] image hold a value above the threshold: two dimensions, votes.
GJ_KERNEL columns_above(const float* image, const int ny, const int nx, const float threshold, uint32* votes) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  const bool above = x < nx && y < ny && image[(int64)y * nx + x] > threshold;
  const uint32 vote = __ballot_sync(GJ_FULL, above);
  if (threadIdx.x == 0 && vote) atomicOr(&votes[blockIdx.x], vote);
}

// Threads that have left do not hold up a barrier.
GJ_KERNEL early_return(float* x, const int n) {
  if ((int)threadIdx.x >= n) return;
  __syncthreads();
  x[threadIdx.x] = 1.0f;
}
