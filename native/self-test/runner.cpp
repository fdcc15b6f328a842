#include "runner.h"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../step.h"
#include "fail.h"

namespace xnord::selftest {
namespace {

// What the handlers see: they run in the thread of the case, while a backend does.
sigjmp_buf interrupted;
volatile sig_atomic_t running = 0;
const uint8_t* volatile faultAddress = nullptr;
const char* volatile runningBackend = "";
const char* volatile runningCase = "";

void leaveBackend(int signal, siginfo_t* info, void*) {
  if (!running) {
    // Not a backend's: on return it is raised again, with its usual effect.
    ::signal(signal, SIG_DFL);
    return;
  }
  faultAddress = static_cast<const uint8_t*>(info->si_addr);
  siglongjmp(interrupted, signal);
}

void print(const char* text) {
  // Nothing can be done where even this fails.
  [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, text, std::strlen(text));
}

void nameCase(int) {
  if (!running) return;
  print(runningBackend);
  print(": FAIL in ");
  print(runningCase);
  print(": aborted\n");
}

// xorshift64*: cheap, and no byte tells its neighbours.
class Noise {
 public:
  explicit Noise(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u | 1) {}

  // True as often as false.
  bool chance() { return next() >> 63 != 0; }

  void fill(uint8_t* begin, const uint8_t* end) {
    while (begin < end) {
      const uint64_t word = next();
      const size_t size = end - begin < 8 ? static_cast<size_t>(end - begin) : 8;
      std::memcpy(begin, &word, size);
      begin += size;
    }
  }

 private:
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }

  uint64_t state_;
};

// Every zone once, in another order for every seed: addresses are small or large, and rise or fall from buffer to
// buffer.
class Zones {
 public:
  explicit Zones(uint64_t seed) {
    const size_t first = seed % GuardedMemory::kZones;
    const size_t stride = 2 * (seed % (GuardedMemory::kZones / 2)) + 1;
    for (size_t i = 0; i < GuardedMemory::kZones; i++) {
      free_.push_back((first + i * stride) % GuardedMemory::kZones);
    }
  }

  // The next one that does not lie below the lowest.
  size_t take(size_t lowest) {
    const auto next = std::find_if(free_.begin(), free_.end(), [&](size_t zone) { return zone >= lowest; });
    if (next == free_.end()) fail("there are too many buffers for a slot");
    const size_t zone = *next;
    free_.erase(next);
    return zone;
  }

 private:
  std::vector<size_t> free_;
};

std::string format(const char* pattern, unsigned value) {
  char text[32];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

void write(const std::vector<Piece>& pieces, uint8_t* begin) {
  for (const Piece& piece : pieces) std::memcpy(begin + piece.offset, piece.bytes, piece.size);
}

// "byte 5 of output", "2 bytes behind output", "1 byte before output"
std::string whereIn(const std::string& name, const Placement& placement, const uint8_t* byte) {
  const auto bytes = [](ptrdiff_t count) { return std::to_string(count) + (count == 1 ? " byte" : " bytes"); };
  const uint8_t* end = placement.begin + placement.size;
  if (byte < placement.begin) return bytes(placement.begin - byte) + " before " + name;
  if (byte >= end) return bytes(byte - end + 1) + " behind " + name;
  return "byte " + std::to_string(byte - placement.begin) + " of " + name;
}

// A case in memory, for as long as it runs.
class PlacedCase {
 public:
  PlacedCase(const Case& one, GuardedMemory& memory, Edge edge, uint64_t seed)
      : case_(one), memory_(memory), noise_(seed), zones_(seed) {
    if (one.buffers.size() + 1 > GuardedMemory::kZones) fail(one.label + " has too many buffers");
    // All that a slot's offsets lead to lies behind it: in half of the runs the slot begins in the middle of the arena.
    const size_t lowest = noise_.chance() ? GuardedMemory::kZones / 2 : 0;
    slot_ = static_cast<uint32_t>(GuardedMemory::zoneBegin(lowest) + kAlignment * (seed % kSlots));
    std::vector<size_t> zones(one.buffers.size());
    for (const bool isInSlot : {true, false}) {
      for (size_t i = 0; i < zones.size(); i++) {
        if (isReadFrom(Base::slot, i) == isInSlot) zones[i] = zones_.take(isInSlot ? lowest : 0);
      }
    }
    tables_ = memory.open(zones_.take(0), one.steps.size() * kStepBytes, kAlignment, edge);
    for (size_t i = 0; i < zones.size(); i++) {
      const Buffer& buffer = one.buffers[i];
      placements_.push_back(memory.open(zones[i], buffer.size, buffer.alignment, edge));
    }
    for (size_t i = 0; i < placements_.size(); i++) fillBuffer(one.buffers[i], placements_[i]);
    fillTables();
  }

  ~PlacedCase() {
    memory_.close(tables_);
    for (const Placement& placement : placements_) memory_.close(placement);
  }

  PlacedCase(const PlacedCase&) = delete;
  PlacedCase& operator=(const PlacedCase&) = delete;

  void run(Run* run) {
    run(memory_.arena(), static_cast<uint32_t>(tables_.begin - memory_.arena()),
        static_cast<uint32_t>(case_.steps.size()), slot_, case_.rows);
  }

  // The first byte that differs from what must be there, in words.
  std::optional<std::string> difference() const {
    for (size_t i = 0; i < placements_.size(); i++) {
      const Buffer& buffer = case_.buffers[i];
      const Placement& placement = placements_[i];
      if (buffer.kind == BufferKind::output) {
        const std::vector<uint8_t>& pages = expected_[i];
        if (auto found = difference(i, placement.pagesBegin, pages.data(), pages.size())) return found;
      } else if (buffer.kind == BufferKind::slot) {
        for (const Piece& piece : buffer.after) {
          if (auto found = difference(i, placement.begin + piece.offset, piece.bytes, piece.size)) return found;
        }
      }
    }
    return std::nullopt;
  }

  // The place of an address that may not be touched, in words.
  std::string describe(const uint8_t* address) const {
    const uint8_t* arena = memory_.arena();
    if (address < arena || address >= arena + GuardedMemory::kBytes) return "outside the arena";
    const Placement* nearest = &tables_;
    std::string name = "the tables";
    for (size_t i = 0; i < placements_.size(); i++) {
      if (distance(placements_[i], address) >= distance(*nearest, address)) continue;
      nearest = &placements_[i];
      name = case_.buffers[i].name;
    }
    return whereIn(name, *nearest, address);
  }

 private:
  // Of tables and of slots.
  static constexpr size_t kAlignment = 64;
  // So many that a slot still begins before the first buffer of its zone: every offset in it is positive.
  static constexpr uint64_t kSlots = 1000;

  bool isReadFrom(Base base, size_t buffer) const {
    const auto leads = [&](const Place& place) { return place.base == base && place.buffer == buffer; };
    return std::any_of(case_.places.begin(), case_.places.end(), leads);
  }

  void fillBuffer(const Buffer& buffer, const Placement& placement) {
    noise_.fill(placement.pagesBegin, placement.pagesEnd);
    write(buffer.before, placement.begin);
    expected_.emplace_back();
    if (buffer.kind == BufferKind::input) memory_.protect(placement);
    if (buffer.kind != BufferKind::output) return;
    std::vector<uint8_t>& pages = expected_.back();
    pages.assign(placement.pagesBegin, placement.pagesEnd);
    write(buffer.after, pages.data() + (placement.begin - placement.pagesBegin));
  }

  void fillTables() {
    std::vector<std::vector<uint32_t>> steps = case_.steps;
    for (const Place& place : case_.places) {
      const uint8_t* base = memory_.arena() + (place.base == Base::slot ? slot_ : 0);
      const uint8_t* target = placements_[place.buffer].begin + place.offset;
      steps[place.step][place.field] = static_cast<uint32_t>(target - base);
    }
    noise_.fill(tables_.pagesBegin, tables_.pagesEnd);
    for (size_t i = 0; i < steps.size(); i++) {
      std::memcpy(tables_.begin + i * kStepBytes, steps[i].data(), steps[i].size() * sizeof(uint32_t));
    }
    memory_.protect(tables_);
  }

  std::optional<std::string> difference(size_t index, const uint8_t* actual, const uint8_t* expected,
                                        size_t size) const {
    if (std::memcmp(actual, expected, size) == 0) return std::nullopt;
    size_t at = 0;
    while (actual[at] == expected[at]) at++;
    return whereIn(case_.buffers[index].name, placements_[index], actual + at) + " is " + format("0x%02x", actual[at]) +
           " instead of " + format("0x%02x", expected[at]);
  }

  static size_t distance(const Placement& placement, const uint8_t* address) {
    if (address < placement.begin) return static_cast<size_t>(placement.begin - address);
    const uint8_t* end = placement.begin + placement.size;
    return address < end ? 0 : static_cast<size_t>(address - end);
  }

  const Case& case_;
  GuardedMemory& memory_;
  Noise noise_;
  Zones zones_;
  uint32_t slot_ = 0;
  Placement tables_{};
  std::vector<Placement> placements_;
  // The pages of every output, as they are to be; empty for what is none.
  std::vector<std::vector<uint8_t>> expected_;
};

}  // namespace

void installSignalHandlers() {
  struct sigaction action {};
  action.sa_sigaction = leaveBackend;
  action.sa_flags = SA_SIGINFO;
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP}) {
    if (sigaction(signal, &action, nullptr) != 0) fail("signals cannot be handled");
  }
  struct sigaction abortion {};
  abortion.sa_handler = nameCase;
  if (sigaction(SIGABRT, &abortion, nullptr) != 0) fail("signals cannot be handled");
}

std::optional<std::string> runCase(const Backend& backend, const Case& one, GuardedMemory& memory, Edge edge,
                                   uint64_t seed) {
  PlacedCase placed(one, memory, edge, seed);
  runningBackend = backend.name;
  runningCase = one.label.c_str();
  const int signal = sigsetjmp(interrupted, 1);
  if (signal == 0) {
    running = 1;
    placed.run(backend.run);
    running = 0;
    return placed.difference();
  }
  running = 0;
  if (signal == SIGSEGV || signal == SIGBUS) return "touches " + placed.describe(faultAddress);
  return std::string("stopped by signal ") + strsignal(signal);
}

}  // namespace xnord::selftest
