// Fibers: stacks that one OS thread switches between, with what the sanitizers must be told of it.
#pragma once

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emu {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static constexpr size_t STACK = 256 * 1024;
#else
static constexpr size_t STACK = 64 * 1024;
#endif

#if defined(__x86_64__)
using Context = void*;  // the saved stack pointer
extern "C" void emu_switch(void** save, void* load) __attribute__((visibility("hidden")));
asm(".text\n.hidden emu_switch\n.globl emu_switch\n.type emu_switch,@function\n"
    "emu_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\n"
    "ret\n.size emu_switch,.-emu_switch\n");
EMU_INLINE void swap_context(Context& save, Context& load) { emu_switch(&save, load); }
EMU_INLINE void prepare_context(Context& context, char* stack, size_t colour, void (*entry)()) {
  void** top = reinterpret_cast<void**>(stack + STACK - colour);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  context = top;
}
#else
using Context = ucontext_t;
EMU_INLINE void swap_context(Context& save, Context& load) { swapcontext(&save, &load); }
EMU_INLINE void prepare_context(Context& context, char* stack, size_t colour, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = STACK - colour;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}
#endif

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer's fibers, one for each CUDA thread. One takes a millisecond to make and 0.8 MB, so they are used
// again: in the next launch; within a launch, where it has more threads than there are, for one drawn by lot, whose
// races with the former owner's block then stay unseen. One pool for all modules: the linker merges inline variables.
struct TsanFibers {
  static constexpr unsigned ROOM = 1536;  // a block has 1024 at most
  void* idle[ROOM];
  void* spent[ROOM];
  unsigned nidle, nspent, made, lot;

  EMU_UNSEEN void* take() {
    if (nidle) return idle[--nidle];
    if (made < ROOM || !nspent) return made++, __tsan_create_fiber(0);
    lot = lot * 1664525u + 1013904223u;
    std::swap(spent[(lot >> 8) % nspent], spent[nspent - 1]);
    return spent[--nspent];
  }
  EMU_UNSEEN void* give(void* fiber) {
    if (nidle + nspent < ROOM) {
      spent[nspent++] = fiber;
    } else {
      __tsan_destroy_fiber(fiber);
    }
    return nullptr;
  }
  EMU_UNSEEN void launch_ends() {
    while (nspent) idle[nidle++] = spent[--nspent];
  }
};
EMU_API inline TsanFibers tsan_fibers;
#endif

struct Fiber {
  Context context;
  char* stack;
  size_t colour;      // spreads the hot ends of the stacks over the cache sets
  void* fake_stack;   // AddressSanitizer's
  void* tsan_fiber;   // ThreadSanitizer's
  Fiber* next_free;
};

// The OS thread that runs the fibers, and the fibers it keeps for reuse.
struct Home {
  Context context;
  void* fake_stack;
  const void* stack_bottom;
  size_t stack_size;
  void* tsan_fiber;
  Fiber* free_fibers;
  unsigned made;
};

EMU_UNSEEN static char* map_stack(void* where, int fixed) {
  void* stack =
      mmap(where, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
  if (stack == MAP_FAILED) {
    perror("a stack for a CUDA thread");
    abort();
  }
  return static_cast<char*>(stack);
}

EMU_UNSEEN static Fiber* new_fiber(Home* home, void (*entry)()) {
  Fiber* fiber = home->free_fibers;
  if (fiber) {
    home->free_fibers = fiber->next_free;
  } else {
    fiber = static_cast<Fiber*>(calloc(1, sizeof(Fiber)));
    fiber->stack = map_stack(nullptr, 0);
    fiber->colour = (home->made++ % 31) * 256;
  }
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(fiber->stack, STACK);
#endif
#if defined(__SANITIZE_THREAD__)
  map_stack(fiber->stack, MAP_FIXED);  // a fresh mapping: TSan forgets the former owner's accesses
  fiber->tsan_fiber = tsan_fibers.take();
#endif
  prepare_context(fiber->context, fiber->stack, fiber->colour, entry);
  fiber->fake_stack = nullptr;
  return fiber;
}

// From the home thread into a fiber, until it waits or ends.
EMU_UNSEEN static void enter(Home* home, Fiber* fiber) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&home->fake_stack, fiber->stack, STACK);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(fiber->tsan_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  swap_context(home->context, fiber->context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(home->fake_stack, nullptr, nullptr);
#endif
#if defined(__SANITIZE_THREAD__)
  if (home->free_fibers == fiber && fiber->tsan_fiber) fiber->tsan_fiber = tsan_fibers.give(fiber->tsan_fiber);
#endif
}

// From a fiber back home; comes back when entered again.
EMU_UNSEEN static void leave(Home* home, Fiber* fiber, bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fiber->fake_stack, home->stack_bottom, home->stack_size);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(home->tsan_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  swap_context(fiber->context, home->context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber->fake_stack, &home->stack_bottom, &home->stack_size);
#endif
}

// The first thing on a new stack.
EMU_UNSEEN static void arrived(Home* home, Fiber* fiber) {
#if defined(__SANITIZE_ADDRESS__)
  if (!fiber->fake_stack) __sanitizer_finish_switch_fiber(nullptr, &home->stack_bottom, &home->stack_size);
#endif
  (void)home, (void)fiber;
}

}  // namespace emu
