// What an instruction set gives: the fused steps of src/engine/kernels/step.ts, on an arena.
#pragma once

#include <cstdint>

namespace xnord {

// Runs tables that lie one behind the other. All numbers but `arena` and `rows` count bytes.
//
//   arena  start of the arena, aligned to 64 bytes
//   step   from the arena's start to the first table
//   slot   from the arena's start to the slot to which the tables' offsets are relative
//
// The caller vouches for the tables. Nothing is allocated, and nothing fails.
using Run = void(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows);

// One a file, compiled with the flags that targets.json gives it. Such a file defines nothing else that a linker sees:
// of an inline function that two files share, the linker could keep the copy that uses the larger instruction set.
Run runAvx512;
Run runAvx512bw;
Run runAvx2;
Run runNeon;
Run runScalar;

struct Backend {
  // As in src/engine/kernels/kernels.ts.
  const char* name;
  // Whether this CPU and operating system have all that `run` uses. `run` must not be called where they have not.
  bool (*isSupported)();
  Run* run;
};

// The backends of the architecture that this was compiled for, fastest first, up to a null.
extern const Backend* const backends[];

}  // namespace xnord
