// One block: which of its threads runs, which wait, and what barriers and warp operations do to them.
#pragma once

namespace emu {

static constexpr unsigned MAX_THREADS = 1024;
static constexpr unsigned ALL_LANES = 0xffffffffu;

enum State : uint8_t { RUNNING, READY, AT_BARRIER, IN_WARP_OP, DONE };
enum WarpOp : uint8_t { SHUFFLE, BALLOT, SYNC };
enum Order { FORWARD, REVERSE, SHUFFLED };

struct Lane {  // what a thread brings to a warp operation, and takes from it
  uint64_t value, result;
  unsigned mask;
  int source;
  uint8_t op;
};

struct Block {
  Home home;
  Fiber* current;
  unsigned thread;                         // the CUDA thread that runs
  unsigned nthread, started, alive, waiting;
  unsigned next_x, next_y, next_z;
  int order;
  unsigned permutation[MAX_THREADS];
  uint8_t state[MAX_THREADS];
  Fiber* fiber[MAX_THREADS];
  Lane lane[MAX_THREADS];
  int site[MAX_THREADS];                   // where a thread waits: line << 8 | count
  unsigned arrived[MAX_THREADS / 32];      // lanes of each warp that wait in a warp operation
  void (*body)(Block*, void*);
  void* arguments;
  char* dynamic;
  size_t dynamic_size;
  struct { const void* key; void* memory; } shared[64];
  int nshared;
  void** old_memory;
  long nold, old_room;
  bool failed;
  char* error;
  int error_size;
  char at_launch, at_end;                  // addresses that order accesses for TSan: of the launch,
  char* at_barrier;                        // and of the block, its barrier's and after it its warps'
};
static thread_local Block* self;

EMU_UNSEEN_CALL __attribute__((format(printf, 2, 3))) static void fail(Block* b, const char* format, ...) {
  if (!b->failed && !b->error[0]) {  // the first report of a launch stands
    va_list rest;
    va_start(rest, format);
    const int n = snprintf(b->error, b->error_size, "block (%u,%u,%u) thread %u: ", blockIdx.x, blockIdx.y, blockIdx.z,
                           b->thread);
    if (n < b->error_size) vsnprintf(b->error + n, b->error_size - n, format, rest);
    va_end(rest);
  }
  b->failed = true;
}

EMU_INLINE void set_thread(Block* b, unsigned t) {
  b->thread = t;
  if (blockDim.y == 1 && blockDim.z == 1) {
    threadIdx = {t, 0, 0};
  } else {
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
  }
}

EMU_INLINE unsigned ranked(const Block* b, unsigned k) {
  return b->order == FORWARD ? k : b->order == REVERSE ? b->nthread - 1 - k : b->permutation[k];
}

EMU_UNSEEN static void wait(Block* b, unsigned t) {
  Fiber* fiber = b->current;
  b->fiber[t] = fiber;
  leave(&b->home, fiber, false);
  b = self;
  set_thread(b, t);
  b->state[t] = RUNNING;
}

EMU_UNSEEN static void open_barrier(Block* b) {
  if (!b->waiting || b->waiting != b->alive) return;
  int site = -1;
  for (unsigned t = 0; t < b->nthread; t++) {
    if (b->state[t] != AT_BARRIER) continue;
    if (site < 0) site = b->site[t];
    if (site != b->site[t]) {
      fail(b, "divergent __syncthreads(): threads wait at lines %d and %d", site >> 8, b->site[t] >> 8);
    }
    b->state[t] = READY;
  }
  b->waiting = 0;
}

EMU_UNSEEN static void syncthreads(int site) {
  Block* b = self;
  const unsigned t = b->thread;
  EMU_RELEASE(b->at_barrier);
  b->state[t] = AT_BARRIER;
  b->site[t] = site;
  b->waiting++;
  open_barrier(b);
  if (b->state[t] == READY) {
    b->state[t] = RUNNING;
  } else {
    wait(b, t);
  }
  EMU_ACQUIRE(b->at_barrier);
}

// All lanes of ``mask`` are here: give each its result.
EMU_UNSEEN static void answer(Block* b, unsigned base, unsigned mask, int line) {
  const Lane mine = b->lane[b->thread];
  uint64_t votes = 0;
  for (unsigned m = 0; m < 32; m++) {
    if (!(mask >> m & 1)) continue;
    const Lane& lane = b->lane[base + m];
    if (lane.mask != mask || lane.op != mine.op || b->site[base + m] >> 8 != line) {
      fail(b, "warp op at line %d meets lane %u at line %d with mask %08x (mine %08x)", line, m, b->site[base + m] >> 8,
           lane.mask, mask);
    }
    if (lane.value) votes |= 1u << m;
  }
  for (unsigned m = 0; m < 32; m++) {
    if (!(mask >> m & 1)) continue;
    Lane& lane = b->lane[base + m];
    lane.result = mine.op == SHUFFLE ? ~0ull : votes;
    if (mine.op == SHUFFLE && mask >> lane.source & 1) {
      lane.result = b->lane[base + lane.source].value;
    } else if (mine.op == SHUFFLE) {
      fail(b, "line %d: lane %u shuffles from lane %d, which is not in mask %08x", line, m, lane.source, mask);
    }
    b->state[base + m] = READY;
  }
}

EMU_UNSEEN static uint64_t warp_op(WarpOp op, unsigned mask, uint64_t value, int source, int line) {
  Block* b = self;
  const unsigned t = b->thread, l = t & 31, w = t >> 5, base = t & ~31u, rest = b->nthread - base;
  if (!(mask >> l & 1)) fail(b, "line %d: lane %u calls a warp op with mask %08x that leaves it out", line, l, mask);
  if (rest < 32) mask &= (1u << rest) - 1;
  b->lane[t] = {value, 0, mask, source, op};
  b->site[t] = line << 8;
  b->state[t] = IN_WARP_OP;
  b->arrived[w] |= 1u << l;
  EMU_RELEASE(b->at_barrier + 1 + w);
  if ((b->arrived[w] & mask) == mask) {
    answer(b, base, mask, line);
    b->arrived[w] &= ~mask;
    b->state[t] = RUNNING;
  } else {
    wait(b, t);
    b = self;
  }
  EMU_ACQUIRE(b->at_barrier + 1 + w);
  return b->lane[t].result;
}

EMU_UNSEEN static void fiber_main() {
  Block* b = self;
  arrived(&b->home, b->current);
  b->body(b, b->arguments);  // CUDA threads, one after the other, until none is left to start
  b = self;
  Fiber* fiber = b->current;
  fiber->next_free = b->home.free_fibers;
  b->home.free_fibers = fiber;
  leave(&b->home, fiber, true);
  __builtin_unreachable();
}

EMU_INLINE void begin_thread(Block* b) {
  const unsigned t = ranked(b, b->started++);
  b->state[t] = RUNNING;
  if (b->order == FORWARD) {  // count up instead of dividing
    b->thread = t;
    threadIdx = {b->next_x, b->next_y, b->next_z};
    if (++b->next_x == blockDim.x) {
      b->next_x = 0;
      if (++b->next_y == blockDim.y) b->next_y = 0, ++b->next_z;
    }
  } else {
    set_thread(b, t);
  }
  EMU_ACQUIRE(&b->at_launch);
}

EMU_INLINE void end_thread(Block* b) {
  EMU_RELEASE(&b->at_end);
  b->state[b->thread] = DONE;
  b->alive--;
  if (b->waiting) open_barrier(b);
}

EMU_UNSEEN_CALL static void report_deadlock(Block* b) {
  unsigned in_warp = 0, at_barrier = 0, exited = 0;
  int warp_line = 0, barrier_line = 0;
  for (unsigned t = 0; t < b->nthread; t++) {
    if (b->state[t] == IN_WARP_OP) in_warp++, warp_line = b->site[t] >> 8;
    if (b->state[t] == AT_BARRIER) at_barrier++, barrier_line = b->site[t] >> 8;
    if (b->state[t] == DONE) exited++;
  }
  fail(b, "deadlock: %u threads in a warp op (line %d), %u in __syncthreads (line %d), %u exited", in_warp, warp_line,
       at_barrier, barrier_line, exited);
}

EMU_UNSEEN static void enter_fiber(Block* b, Fiber* fiber) {
  b->current = fiber;
  enter(&b->home, fiber);
}

EMU_UNSEEN static void run_block(Block* b) {
  b->started = b->next_x = b->next_y = b->next_z = b->waiting = 0;
  b->alive = b->nthread;
  memset(b->arrived, 0, sizeof b->arrived);
  EMU_RELEASE(&b->at_launch);
  while (b->started < b->nthread) enter_fiber(b, new_fiber(&b->home, fiber_main));
  while (b->alive && !b->failed) {
    bool any = false;
    for (unsigned k = 0; k < b->nthread && !b->failed; k++) {
      const unsigned t = ranked(b, k);
      if (b->state[t] != READY) continue;
      any = true;
      enter_fiber(b, b->fiber[t]);
    }
    if (!any && b->alive) report_deadlock(b);
  }
  // After a failure, threads that still wait are left where they are.
  for (unsigned i = 0; b->failed && i <= MAX_THREADS / 32; i++) EMU_ACQUIRE(b->at_barrier + i);
}

EMU_UNSEEN_CALL static char* heap(size_t n) {
  void* memory = nullptr;
  if (n && posix_memalign(&memory, 64, n)) abort();
  return static_cast<char*>(memory);
}

// A block's own memory for one GJ_SHARED variable, all bits set, so that what was never written reads as NaN.
EMU_UNSEEN_CALL static void* shared_variable(const void* key, size_t n) {
  Block* b = self;
  for (int i = 0; i < b->nshared; i++) {
    if (b->shared[i].key != key) continue;
    EMU_ACQUIRE(b->shared[i].memory);
    return b->shared[i].memory;
  }
  if (b->nshared == 64) abort();
  char* memory = heap(n);
  for (size_t i = 0; i < n; i++) memory[i] = static_cast<char>(0xFF);
  b->shared[b->nshared++] = {key, memory};
  EMU_RELEASE(memory);
  return memory;
}

static inline void* dynamic_shared() { return self->dynamic; }

// Freed after the launch, not with the block, so that no two blocks share an address.
EMU_UNSEEN_CALL static void free_later(Block* b, void* memory) {
  if (b->nold == b->old_room) {
    b->old_room = b->old_room ? 2 * b->old_room : 64;
    b->old_memory = static_cast<void**>(realloc(b->old_memory, b->old_room * sizeof(void*)));
  }
  b->old_memory[b->nold++] = memory;
}

// The next block's memory: addresses that no block of this launch had.
EMU_UNSEEN_CALL static void renew_memory(Block* b) {
  for (int i = 0; i < b->nshared; i++) free_later(b, b->shared[i].memory);
  b->nshared = 0;
  if (b->dynamic) free_later(b, b->dynamic);
  b->dynamic = heap(b->dynamic_size);
  free_later(b, b->at_barrier);
  b->at_barrier = heap(1 + MAX_THREADS / 32);
}

EMU_UNSEEN_CALL static void free_old(Block* b) {
  for (long i = 0; i < b->nold; i++) free(b->old_memory[i]);
  b->nold = 0;
}

}  // namespace emu
