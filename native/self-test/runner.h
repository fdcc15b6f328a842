// Runs cases on a backend and finds the first byte that is not as it must be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "../backend.h"
#include "cases.h"
#include "guarded-memory.h"

namespace xnord::selftest {

// Once before the first case: signals that a backend raises become failures of its case. An abort, which is how
// sanitizers end a program, still ends it, after the name of the case.
void installSignalHandlers();

// Runs a case with its buffers at one edge of their pages.
//
// `seed` gives the bytes that must not matter. Returns what went wrong, if anything did.
std::optional<std::string> runCase(const Backend& backend, const Case& one, GuardedMemory& memory, Edge edge,
                                   uint64_t seed);

}  // namespace xnord::selftest
