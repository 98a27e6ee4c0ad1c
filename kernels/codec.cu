// Bytes of FITS files, which are big-endian, to and from numbers.
// raw[nint, ngroup, nrow, ncol] uint16 as on disk; data[nint, ngroup, ny, nx] float32; words[n] uint32.
#include "gpujw.cuh"

__device__ inline uint32 swapped(const uint32 w) {
  return (w >> 24) | ((w >> 8) & 0xff00u) | ((w & 0xff00u) << 8) | (w << 24);
}

GJ_KERNEL decode_counts(const unsigned short* raw, float* data, const int64 n, const int64 ny, const int64 nx,
                        const int64 nrow, const int64 ncol, const int64 row, const int64 column) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  const int64 x = i % nx, y = i / nx % ny, frame = i / nx / ny;
  const unsigned short w = raw[(frame * nrow + row + y) * ncol + column + x];
  data[i] = (float)((unsigned short)((w >> 8) | (w << 8)) ^ 0x8000u);  // BZERO 32768: the sign bit, turned
}

GJ_KERNEL swap_words(uint32* words, const int64 n) {
  const int64 i = GJ_INDEX;
  if (i < n) words[i] = swapped(words[i]);
}

GJ_KERNEL encode_words(uint32* words, uint64* total, const int64 n, const uint32 flip) {
  uint64 sum = 0;
  for (int64 i = GJ_INDEX; i < n; i += (int64)gridDim.x * blockDim.x) {
    const uint32 w = words[i] ^ flip;
    sum += w;
    words[i] = swapped(w);
  }
  atomicAdd(total, sum);  // whole numbers: the order does not matter
}
