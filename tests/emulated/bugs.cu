// Planted bugs: each kernel holds one, and the tests see it found.
#include "gpujw.cuh"

GJ_KERNEL past_the_end(float* x, const int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) x[i] = 1.0f;
}

GJ_KERNEL past_shared(float* x, const int n) {
  GJ_SHARED(float, s, 64);
  s[threadIdx.x] = 1.0f;
  __syncthreads();
  if (threadIdx.x < n) x[threadIdx.x] = s[threadIdx.x];
}

GJ_KERNEL before_dynamic(float* x, const int n) {
  GJ_DYN_SHARED(float, s);
  s[threadIdx.x] = 1.0f;
  __syncthreads();
  x[threadIdx.x] = s[n - 2 - (int)threadIdx.x];
}

GJ_KERNEL overflow(float* x, const int n) { x[0] = n * 65536; }

GJ_KERNEL nan_to_integer(float* x, const int n) { x[0] = (int)(x[1] / x[2]) + n; }

GJ_KERNEL misaligned(float* x, const int n) {
  x[0] = *reinterpret_cast<const float*>(reinterpret_cast<const uint8*>(x) + 1) + n;
}

GJ_KERNEL race_in_shared(float* x, const int n) {
  GJ_SHARED(float, s, 256);
  s[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = s[n - 1 - threadIdx.x];
}

GJ_KERNEL race_in_global(float* x, const int n) { x[(blockIdx.x * blockDim.x + threadIdx.x) % n] += 1.0f; }

GJ_KERNEL divergent_barrier(float* x, const int n) {
  if (threadIdx.x < n) {
    x[threadIdx.x] = 1.0f;
    __syncthreads();
  } else {
    __syncthreads();
    x[threadIdx.x] = 2.0f;
  }
}

GJ_KERNEL partial_mask(float* x, const int n) {
  float v = threadIdx.x;
  if (threadIdx.x < n) v += __shfl_down_sync(GJ_FULL, v, 1);
  x[threadIdx.x] = v;
}

GJ_KERNEL absent_lane(float* x, const int n) {
  if (threadIdx.x < n) x[threadIdx.x] = __shfl_sync(0xffffu, (float)threadIdx.x, 20);
}

GJ_KERNEL never_written(float* x, const int n) {
  GJ_DYN_SHARED(float, s);
  if (threadIdx.x < n) s[threadIdx.x] = 1.0f;
  __syncthreads();
  x[threadIdx.x] = s[threadIdx.x];
}
