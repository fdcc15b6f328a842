#include "faulty.h"

#include <cstddef>

#include "../step.h"

namespace xnord::selftest {
namespace {

bool always() { return true; }
bool never() { return false; }

const Step& stepAt(const uint8_t* arena, uint32_t step) { return *reinterpret_cast<const Step*>(arena + step); }

// Behind the last pixel of the last row, its border included.
uint32_t outputEnd(const Step& step, uint32_t rows) {
  return step.output + (rows - 1) * step.outputRow + (step.height + step.outputBorder - 1) * step.outputLine +
         (step.width + step.outputBorder) * step.outputPixel;
}

uint32_t outputBegin(const Step& step) {
  return step.output - step.outputBorder * (step.outputLine + step.outputPixel);
}

// Behind the last run of a step on bits.
uint32_t inputEnd(const Step& step, uint32_t rows) {
  return step.input + (rows - 1) * step.inputRow + (step.height * step.pool - 1) * step.inputStepY +
         (step.width * step.pool - 1) * step.inputStepX + (step.lines - 1) * step.inputLine + 8 * step.run;
}

// What the compiler may not leave out.
uint8_t read(const uint8_t* byte) { return *static_cast<const volatile uint8_t*>(byte); }
void write(uint8_t* byte, uint8_t value) { *static_cast<volatile uint8_t*>(byte) = value; }

// Right but for one thing, which each of the following does after it, or before.
using Fault = void(const Step& step, uint8_t* arena, uint8_t* slot, uint32_t rows);

template <Fault* fault>
void runThenFault(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runScalar(arena, step, steps, slot, rows);
  fault(stepAt(arena, step), arena, arena + slot, rows);
}

void flipBit(const Step& step, uint8_t*, uint8_t* slot, uint32_t rows) { slot[outputEnd(step, rows) - 1] ^= 1; }
void readBehind(const Step& step, uint8_t*, uint8_t* slot, uint32_t rows) { read(slot + inputEnd(step, rows)); }
void readBefore(const Step& step, uint8_t*, uint8_t* slot, uint32_t) { read(slot + step.input - 1); }
void readWeightsBehind(const Step& step, uint8_t* arena, uint8_t*, uint32_t) {
  // Of one block of 16 channels.
  read(arena + step.weights + step.planes * step.lines * step.run * 16 * 8 * (1 + step.masked));
}
void writeBehind(const Step& step, uint8_t*, uint8_t* slot, uint32_t rows) { write(slot + outputEnd(step, rows), 0); }
void writeBefore(const Step& step, uint8_t*, uint8_t* slot, uint32_t) { write(slot + outputBegin(step) - 1, 0); }
void writeInput(const Step& step, uint8_t*, uint8_t* slot, uint32_t) {
  write(slot + step.input, read(slot + step.input));
}
void useForeignBits(const Step& step, uint8_t*, uint8_t* slot, uint32_t rows) {
  slot[step.output] ^= read(slot + inputEnd(step, rows) - 1);
}
void stop(const Step&, uint8_t*, uint8_t*, uint32_t) { __builtin_trap(); }
void overflow(const Step& step, uint8_t*, uint8_t*, uint32_t) {
  volatile int32_t sum = 0x7fffffff;
  sum = sum + static_cast<int32_t>(step.channels);
}
void readStack(const Step&, uint8_t*, uint8_t*, uint32_t) {
  uint8_t bytes[16] = {};
  // More than a compiler may see through.
  volatile size_t end = sizeof bytes;
  read(bytes + end);
}

void keepBorder(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  uint8_t* corner = arena + slot + outputBegin(stepAt(arena, step));
  const uint8_t before = *corner;
  runScalar(arena, step, steps, slot, rows);
  *corner = before;
}

void skipLastRow(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runScalar(arena, step, steps, slot, rows - 1);
}

void skipLastStep(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runScalar(arena, step, steps > 1 ? steps - 1 : 1, slot, rows);
}

}  // namespace

const Backend faultyBackends[] = {
    {"flips-bit", always, runThenFault<flipBit>},
    {"reads-behind", always, runThenFault<readBehind>},
    {"reads-before", always, runThenFault<readBefore>},
    {"reads-weights-behind", always, runThenFault<readWeightsBehind>},
    {"writes-behind", always, runThenFault<writeBehind>},
    {"writes-before", always, runThenFault<writeBefore>},
    {"writes-input", always, runThenFault<writeInput>},
    {"uses-foreign-bits", always, runThenFault<useForeignBits>},
    {"keeps-border", always, keepBorder},
    {"skips-last-row", always, skipLastRow},
    {"skips-last-step", always, skipLastStep},
    {"stops", always, runThenFault<stop>},
    {"lacks-instructions", never, runThenFault<stop>},
    // Only sanitizers see these.
    {"overflows", always, runThenFault<overflow>},
    {"reads-stack", always, runThenFault<readStack>},
    {nullptr, nullptr, nullptr},
};

}  // namespace xnord::selftest
