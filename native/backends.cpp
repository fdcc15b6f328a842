// Compiled without the flags of any instruction set: this code decides whether theirs may run at all.
#include "backend.h"

namespace xnord {
namespace {

#if defined(__x86_64__)

// Each asks for all that targets.json lets the compiler use in the backend's file, and for what those flags imply.
// The builtin also asks the operating system whether it saves the registers.

// Without it, counting bits takes a dozen operations, and wasm is no slower.
bool hasPopcnt() { return __builtin_cpu_supports("popcnt"); }

bool hasAvx2() { return hasPopcnt() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); }

bool hasAvx512bw() {
  return hasAvx2() && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool hasAvx512() {
  return hasAvx512bw() && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
}

const Backend avx512 = {"avx512", hasAvx512, runAvx512};
const Backend avx512bw = {"avx512bw", hasAvx512bw, runAvx512bw};
const Backend avx2 = {"avx2", hasAvx2, runAvx2};
const Backend scalar = {"scalar", hasPopcnt, runScalar};

#elif defined(__aarch64__)

// Both need only what is part of the architecture.
bool always() { return true; }

const Backend neon = {"neon", always, runNeon};
const Backend scalar = {"scalar", always, runScalar};

#endif

}  // namespace

const Backend* const backends[] = {
#if defined(__x86_64__)
    &avx512, &avx512bw, &avx2,
#elif defined(__aarch64__)
    &neon,
#endif
    &scalar, nullptr};

}  // namespace xnord
