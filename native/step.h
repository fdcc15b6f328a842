// The table of a step: src/engine/kernels/step.ts says what each field means; the order is the same.
#pragma once

#include <cstdint>

namespace xnord {

enum : uint32_t { kImage = 0, kPixels = 1, kBits = 2, kLinear = 3, kSign = 4, kAveragePool = 5 };

struct Step {
  uint32_t kind;
  uint32_t pool;
  uint32_t floats;
  uint32_t masked;
  uint32_t planes;
  uint32_t shifts;
  uint32_t input;
  uint32_t inputRow;
  uint32_t inputLine;
  uint32_t inputStepX;
  uint32_t inputStepY;
  uint32_t lines;
  uint32_t run;
  uint32_t output;
  uint32_t outputRow;
  uint32_t outputLine;
  uint32_t outputPixel;
  uint32_t outputBorder;
  uint32_t height;
  uint32_t width;
  uint32_t channels;
  uint32_t addend;
  uint32_t weights;
  uint32_t limits;
  uint32_t totals;
  uint32_t scales;
  uint32_t biases;
};

constexpr uint32_t kStepBytes = 128;
static_assert(sizeof(Step) <= kStepBytes, "a table must hold all fields");

}  // namespace xnord
