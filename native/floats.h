// The steps on floats, for every instruction set: lanes never meet, so that the compiler's own vectors will do. Each
// addition and multiplication is rounded by itself, in the format's order: build with -ffp-contract=off and never
// with -ffast-math.
//
// Internal linkage, for the reason that walk.h gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "step.h"
#include "unroll.h"

namespace xnord {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// Floats of a vector, of which kVectors make up the channels that values are padded to a multiple of.
constexpr int kFloats = kVectorBytes / 4;
constexpr int kFloatLanes = 16;
constexpr int kVectors = kFloatLanes / kFloats;

typedef float Floats __attribute__((vector_size(kVectorBytes)));
typedef int32_t Integers __attribute__((vector_size(kVectorBytes)));

template <class Vector>
[[gnu::always_inline]] inline Vector load(const void* from) {
  Vector vector;
  memcpy(&vector, from, sizeof vector);
  return vector;
}

inline uint32_t paddedChannels(uint32_t channels) { return (channels + 15) & ~15u; }

// sums · scales + biases, and the addends where there are any.
[[gnu::always_inline]] inline void storeFloats(float* output, const Floats& sums, const float* scales,
                                               const float* biases, const float* addend) {
  Floats values = sums * load<Floats>(scales) + load<Floats>(biases);
  if (addend != nullptr) values += load<Floats>(addend);
  memcpy(output, &values, sizeof values);
}

// Weights lie as [block][float][L]: with L channels in lanes, each sum runs through the floats in order.
template <int L>
inline void linearBlock(const Step& step, const float* input, const float* weights, const float* scales,
                        const float* biases, const float* addend, float* output) {
  Floats sums[L / kFloats] = {};
  for (uint32_t i = 0; i < step.run; i++, weights += L) {
    unroll<L / kFloats>([&](auto v) { sums[v] += load<Floats>(weights + kFloats * v) * input[i]; });
  }
  unroll<L / kFloats>([&](auto v) {
    constexpr int at = kFloats * v;
    storeFloats(output + at, sums[v], scales + at, biases + at, addend == nullptr ? nullptr : addend + at);
  });
}

// Floats have no border, so that all of a value is one line.
inline void linear(const Step& step, const uint8_t* arena, uint8_t* slot, uint32_t rows) {
  const float* allWeights = reinterpret_cast<const float*>(arena + step.weights);
  const float* allScales = reinterpret_cast<const float*>(arena + step.scales);
  const float* allBiases = reinterpret_cast<const float*>(arena + step.biases);
  for (uint32_t row = 0; row < rows; row++) {
    const float* input = reinterpret_cast<const float*>(slot + step.input + size_t{row} * step.inputRow);
    const size_t at = size_t{row} * step.outputRow;
    for (uint32_t channel = 0; channel < step.channels; channel += 32) {
      float* output = reinterpret_cast<float*>(slot + step.output + at) + channel;
      const float* addend =
          step.addend == 0 ? nullptr : reinterpret_cast<const float*>(slot + step.addend + at) + channel;
      const float* weights = allWeights + size_t{step.run} * channel;
      const auto block = step.channels - channel > 16 ? linearBlock<32> : linearBlock<16>;
      block(step, input, weights, allScales + channel, allBiases + channel, addend, output);
    }
  }
}

// `Set::reach` gives a bit for each of 16 floats: whether it reaches its limit.
template <class Set>
inline void sign(const Step& step, const uint8_t* arena, uint8_t* slot, uint32_t rows) {
  const float* limits = reinterpret_cast<const float*>(arena + step.limits);
  const uint32_t channels = paddedChannels(step.channels);
  for (uint32_t row = 0; row < rows; row++) {
    for (uint32_t y = 0; y < step.height; y++) {
      const uint8_t* from = slot + step.input + size_t{row} * step.inputRow + size_t{y} * step.inputStepY;
      uint8_t* to = slot + step.output + size_t{row} * step.outputRow + size_t{y} * step.outputLine;
      for (uint32_t x = 0; x < step.width; x++, from += step.inputStepX, to += step.outputPixel) {
        const float* values = reinterpret_cast<const float*>(from);
        for (uint32_t channel = 0; channel < channels; channel += kFloatLanes) {
          const uint16_t bits = static_cast<uint16_t>(Set::reach(values + channel, limits + channel));
          memcpy(to + channel / 8, &bits, 2);
        }
        for (uint32_t byte = channels / 8; byte < step.outputPixel; byte++) to[byte] = 0;
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
          Floats sums[kVectors] = {};
          for (uint32_t line = 0; line < step.lines; line++) {
            const uint8_t* from = window + size_t{line} * step.inputLine + size_t{4} * channel;
            for (uint32_t i = 0; i < step.run; i++, from += pixel) {
              unroll<kVectors>([&](auto v) { sums[v] += load<Floats>(from + kVectorBytes * v); });
            }
          }
          unroll<kVectors>([&](auto v) { sums[v] /= count; });
          memcpy(to + size_t{4} * channel, sums, sizeof sums);
        }
      }
    }
  }
}

}  // namespace
}  // namespace xnord
