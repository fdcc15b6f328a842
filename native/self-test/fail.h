#pragma once

#include <string>

namespace xnord::selftest {

// Ends the program where it is not a backend that is wrong: exit code 2.
[[noreturn]] void fail(const std::string& message);

}  // namespace xnord::selftest
