// The steps on floats, for every instruction set: loops over channels that a compiler turns into vectors by itself,
// since lanes never meet. Each addition and multiplication is rounded by itself, in the format's order: build with
// -ffp-contract=off and never with -ffast-math.
//
// Internal linkage, for the reason that walk.h gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "step.h"

namespace xnord {
namespace {

// Channels are padded to a multiple.
constexpr uint32_t kFloatLanes = 16;

inline uint32_t paddedChannels(uint32_t channels) { return (channels + kFloatLanes - 1) & ~(kFloatLanes - 1); }

template <int L>
inline void storeFloats(float* __restrict output, const int32_t* __restrict sums, const float* __restrict scales,
                        const float* __restrict biases, const float* __restrict addend) {
  float values[L];
  for (int i = 0; i < L; i++) values[i] = static_cast<float>(sums[i]) * scales[i] + biases[i];
  if (addend != nullptr) {
    for (int i = 0; i < L; i++) values[i] += addend[i];
  }
  memcpy(output, values, sizeof values);
}

// Weights lie as [block][line][float][L]: with L channels in lanes, each sum runs through the floats in order.
template <int L>
inline void linearBlock(const Step& step, const uint8_t* input, const float* weights, const float* scales,
                        const float* biases, const float* addend, float* output) {
  float sums[L] = {};
  for (uint32_t line = 0; line < step.lines; line++, input += step.inputLine) {
    const float* floats = reinterpret_cast<const float*>(input);
    for (uint32_t i = 0; i < step.run; i++, weights += L) {
      const float value = floats[i];
      for (int lane = 0; lane < L; lane++) sums[lane] += weights[lane] * value;
    }
  }
  for (int i = 0; i < L; i++) sums[i] = sums[i] * scales[i] + biases[i];
  if (addend != nullptr) {
    for (int i = 0; i < L; i++) sums[i] += addend[i];
  }
  memcpy(output, sums, sizeof sums);
}

inline void linear(const Step& step, const uint8_t* arena, uint8_t* slot, uint32_t rows) {
  const size_t floats = size_t{step.lines} * step.run;
  const float* allWeights = reinterpret_cast<const float*>(arena + step.weights);
  const float* allScales = reinterpret_cast<const float*>(arena + step.scales);
  const float* allBiases = reinterpret_cast<const float*>(arena + step.biases);
  for (uint32_t row = 0; row < rows; row++) {
    const uint8_t* input = slot + step.input + size_t{row} * step.inputRow;
    const size_t at = size_t{row} * step.outputRow;
    for (uint32_t channel = 0; channel < step.channels; channel += 32) {
      float* output = reinterpret_cast<float*>(slot + step.output + at) + channel;
      const float* addend =
          step.addend == 0 ? nullptr : reinterpret_cast<const float*>(slot + step.addend + at) + channel;
      const float* weights = allWeights + floats * channel;
      const auto block = step.channels - channel > 16 ? linearBlock<32> : linearBlock<16>;
      block(step, input, weights, allScales + channel, allBiases + channel, addend, output);
    }
  }
}

inline void sign(const Step& step, const uint8_t* arena, uint8_t* slot, uint32_t rows) {
  const float* thresholds = reinterpret_cast<const float*>(arena + step.limits);
  const uint32_t channels = paddedChannels(step.channels);
  for (uint32_t row = 0; row < rows; row++) {
    for (uint32_t y = 0; y < step.height; y++) {
      const uint8_t* from = slot + step.input + size_t{row} * step.inputRow + size_t{y} * step.inputStepY;
      uint8_t* to = slot + step.output + size_t{row} * step.outputRow + size_t{y} * step.outputLine;
      for (uint32_t x = 0; x < step.width; x++, from += step.inputStepX, to += step.outputPixel) {
        const float* values = reinterpret_cast<const float*>(from);
        for (uint32_t channel = 0; channel < channels; channel += kFloatLanes) {
          uint32_t bits = 0;
          for (uint32_t i = 0; i < kFloatLanes; i++) {
            bits |= static_cast<uint32_t>(values[channel + i] >= thresholds[channel + i]) << i;
          }
          const uint16_t half = static_cast<uint16_t>(bits);
          memcpy(to + channel / 8, &half, 2);
        }
        memset(to + channels / 8, 0, step.outputPixel - channels / 8);
      }
    }
  }
}

inline void averagePool(const Step& step, uint8_t* slot, uint32_t rows) {
  const uint32_t channels = paddedChannels(step.channels);
  const size_t pixel = step.inputStepX / step.run;
  const float count = static_cast<float>(step.lines * step.run);
  for (uint32_t row = 0; row < rows; row++) {
    for (uint32_t y = 0; y < step.height; y++) {
      const uint8_t* window = slot + step.input + size_t{row} * step.inputRow + size_t{y} * step.inputStepY;
      uint8_t* to = slot + step.output + size_t{row} * step.outputRow + size_t{y} * step.outputLine;
      for (uint32_t x = 0; x < step.width; x++, window += step.inputStepX, to += step.outputPixel) {
        for (uint32_t channel = 0; channel < channels; channel += kFloatLanes) {
          float sums[kFloatLanes] = {};
          for (uint32_t line = 0; line < step.lines; line++) {
            const uint8_t* from = window + size_t{line} * step.inputLine + size_t{4} * channel;
            for (uint32_t i = 0; i < step.run; i++, from += pixel) {
              const float* values = reinterpret_cast<const float*>(from);
              for (uint32_t lane = 0; lane < kFloatLanes; lane++) sums[lane] += values[lane];
            }
          }
          for (uint32_t lane = 0; lane < kFloatLanes; lane++) sums[lane] /= count;
          memcpy(to + size_t{4} * channel, sums, sizeof sums);
        }
      }
    }
  }
}

}  // namespace
}  // namespace xnord
