// The few spellings that differ between NVRTC and the host compiler that runs these sources in the tests.
#pragma once
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define GJ_DYN_SHARED(T, name)                                      \
  extern __shared__ __align__(16) unsigned char gj_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(gj_dynamic_shared)
#define GJ_SHARED(T, name, N) __shared__ T name[N]
#endif
#define GJ_KERNEL extern "C" __global__ void
#define GJ_FULL 0xffffffffu

typedef unsigned char uint8;
typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

// One thread an element: the flat index of this thread.
#define GJ_INDEX (blockIdx.x * (int64)blockDim.x + threadIdx.x)
