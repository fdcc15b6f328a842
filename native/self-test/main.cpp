// Runs the cases of a file on the backends of this machine: every result has the bits of the reference, nothing is read
// or written outside its buffers, and what must not matter does not. Needs neither Node nor an addon, so it also runs
// under sanitizers and emulators.
//
//   self-test [--backend NAME] [--every N] FILE     one line a backend
//   self-test --list                                the backends that this CPU can run, one a line
//
// Exit code: 0 all passed, 1 a backend failed, 2 nothing was proved.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../backend.h"
#include "cases.h"
#include "fail.h"
#include "faulty.h"
#include "guarded-memory.h"
#include "runner.h"

namespace xnord::selftest {

void fail(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "self-test: %s\n", message.c_str());
  std::exit(2);
}

namespace {

struct Options {
  bool list = false;
  std::string backend;
  size_t every = 1;
  std::string file;
};

Options parseOptions(int count, char** words) {
  Options options;
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    const auto value = [&]() -> std::string {
      if (++i == count) fail(word + " needs a value");
      return words[i];
    };
    if (word == "--list") {
      options.list = true;
    } else if (word == "--backend") {
      options.backend = value();
    } else if (word == "--every") {
      options.every = std::strtoul(value().c_str(), nullptr, 10);
      if (options.every == 0) fail("--every needs a positive number");
    } else if (options.file.empty() && word.rfind("--", 0) != 0) {
      options.file = word;
    } else {
      fail("unknown argument " + word);
    }
  }
  return options;
}

// All that this CPU can run, or the one that is named, which may be one that is wrong on purpose.
std::vector<const Backend*> chooseBackends(const std::string& name) {
  std::vector<const Backend*> chosen;
  bool known = name.empty();
  const auto consider = [&](const Backend& backend) {
    known = known || name == backend.name;
    if ((name.empty() || name == backend.name) && backend.isSupported()) chosen.push_back(&backend);
  };
  for (const Backend* const* next = backends; *next != nullptr; next++) consider(**next);
  if (!name.empty()) {
    for (const Backend* next = faultyBackends; next->name != nullptr; next++) consider(*next);
  }
  if (!known) fail("there is no backend " + name + " for this architecture");
  if (!name.empty() && chosen.empty()) fail("this CPU cannot run " + name);
  return chosen;
}

std::string describeSteps(const Case& one, const std::vector<std::string>& fields) {
  std::string text;
  for (const std::vector<uint32_t>& step : one.steps) {
    text += "\n ";
    for (size_t field = 0; field < fields.size(); field++) {
      text += " " + fields[field] + "=" + std::to_string(step[field]);
    }
  }
  return text;
}

bool passes(const Backend& backend, const Cases& cases, size_t every, GuardedMemory& memory) {
  size_t done = 0;
  for (size_t index = 0; index < cases.all.size(); index += every, done++) {
    const Case& one = cases.all[index];
    for (const Edge edge : {Edge::end, Edge::begin}) {
      const uint64_t seed = 2 * index + (edge == Edge::end ? 0 : 1);
      const auto failure = runCase(backend, one, memory, edge, seed);
      if (!failure) continue;
      std::printf("%s: FAIL after %zu cases in %s, %u rows, at the %s of pages: %s%s\n", backend.name, done,
                  one.label.c_str(), one.rows, edge == Edge::end ? "end" : "start", failure->c_str(),
                  describeSteps(one, cases.fields).c_str());
      return false;
    }
  }
  std::printf("%s: %zu cases pass\n", backend.name, done);
  return true;
}

int run(const Options& options) {
  const std::vector<const Backend*> chosen = chooseBackends(options.backend);
  if (options.list) {
    for (const Backend* backend : chosen) std::puts(backend->name);
    return 0;
  }
  if (chosen.empty()) fail("this CPU cannot run any backend");
  if (options.file.empty()) fail("there are no cases without a file");
  const Cases cases = readCases(options.file);
  if (cases.all.empty()) fail(options.file + " holds no cases");
  installSignalHandlers();
  GuardedMemory memory;
  bool passed = true;
  for (const Backend* backend : chosen) {
    passed = passes(*backend, cases, options.every, memory) && passed;
    std::fflush(stdout);
  }
  return passed ? 0 : 1;
}

}  // namespace
}  // namespace xnord::selftest

int main(int count, char** words) { return xnord::selftest::run(xnord::selftest::parseOptions(count, words)); }
