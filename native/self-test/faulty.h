// Backends that are wrong on purpose: what the self-test finds in them shows that it would find it elsewhere.
#pragma once

#include "../backend.h"

namespace xnord::selftest {

// Up to one without a name. They run on request only.
extern const Backend faultyBackends[];

}  // namespace xnord::selftest
