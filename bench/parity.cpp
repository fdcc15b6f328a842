// An experiment past the bound of peak.cpp: two words share one count, since parity is linear.
//
// In a full adder with inputs x, y and the sum so far s, the new sum s′ = s ⊕ x ⊕ y, and the carry is x where s = s′,
// else s. With x = a ⊕ w, all sums of a window's words are (prefix parity of a) ⊕ (prefix parity of w): stored in place
// of every second word of both, they cost one xor. So two words take
//
//   x = a ⊕ w, s′ = A ⊕ W, carry = one vpternlogq, popcount, add        5 operations instead of 6
//   distance = 2 · Σ popcount(carry) + popcount(last s)
//
// Prefixes can run through a whole window, whose words must then be copied out of the lines, since lines overlap; or
// through a line of it, as the activations lie, and start anew with each of the window's lines. Prints JSON: cycles are
// not counted, so each form is given as a multiple of the plain kernel's speed, in turns, from the nearest cache.

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "../native/unroll.h"

namespace {

using xnord::unroll;

constexpr int kLines = 3;
constexpr int kWindows = 4;
constexpr int kMaxWords = 72;
constexpr int kMaxChannels = 32;
constexpr int kRounds = 200;
constexpr int kCallsARound = 100;

// Words of kWindows windows, words of weights as [word][channel], and distances as [window][channel].
using Kernel = void (*)(const uint64_t* windows, const uint64_t* weights, int words, uint64_t* distances);

__m512i broadcast(const uint64_t* from) { return _mm512_set1_epi64(static_cast<long long>(*from)); }

// The tile of native/avx512.cpp: 4 windows × 4 vectors of channels.
void plain(const uint64_t* windows, const uint64_t* weights, int words, uint64_t* distances) {
  __m512i sums[kWindows][4];
  unroll<kWindows>([&](auto p) { unroll<4>([&](auto g) { sums[p][g] = _mm512_setzero_si512(); }); });
  for (int i = 0; i < words; i++, weights += 32) {
    __m512i signs[4];
    unroll<4>([&](auto g) { signs[g] = _mm512_load_si512(weights + 8 * g); });
    unroll<kWindows>([&](auto p) {
      const __m512i input = broadcast(windows + p * kMaxWords + i);
      unroll<4>([&](auto g) {
        sums[p][g] = _mm512_add_epi64(sums[p][g], _mm512_popcnt_epi64(_mm512_xor_si512(input, signs[g])));
      });
    });
  }
  unroll<kWindows>(
      [&](auto p) { unroll<4>([&](auto g) { _mm512_storeu_si512(distances + 32 * p + 8 * g, sums[p][g]); }); });
}

// 4 windows × 2 vectors, twice, for sums and carries take a register each. `kChains` begin anew.
template <int kChains>
void parity(const uint64_t* windows, const uint64_t* weights, int words, uint64_t* distances) {
  for (int half = 0; half < 4; half += 2) {
    const uint64_t* from = weights + 8 * half;
    __m512i carries[kWindows][2], rests[kWindows][2];
    unroll<kWindows>([&](auto p) { unroll<2>([&](auto g) { carries[p][g] = rests[p][g] = _mm512_setzero_si512(); }); });
    for (int chain = 0, i = 0; chain < kChains; chain++) {
      __m512i sums[kWindows][2];
      unroll<kWindows>([&](auto p) { unroll<2>([&](auto g) { sums[p][g] = _mm512_setzero_si512(); }); });
      for (const int end = i + words / kChains; i < end; i += 2, from += 64) {
        unroll<kWindows>([&](auto p) {
          const __m512i input = broadcast(windows + p * kMaxWords + i);
          const __m512i prefix = broadcast(windows + p * kMaxWords + i + 1);
          unroll<2>([&](auto g) {
            const __m512i first = _mm512_xor_si512(input, _mm512_load_si512(from + 8 * g));
            const __m512i sum = _mm512_xor_si512(prefix, _mm512_load_si512(from + 32 + 8 * g));
            const __m512i carry = _mm512_ternarylogic_epi64(sums[p][g], sum, first, 0xb2);
            carries[p][g] = _mm512_add_epi64(carries[p][g], _mm512_popcnt_epi64(carry));
            sums[p][g] = sum;
          });
        });
      }
      unroll<kWindows>([&](auto p) {
        unroll<2>([&](auto g) { rests[p][g] = _mm512_add_epi64(rests[p][g], _mm512_popcnt_epi64(sums[p][g])); });
      });
    }
    unroll<kWindows>([&](auto p) {
      unroll<2>([&](auto g) {
        const __m512i distance = _mm512_add_epi64(_mm512_slli_epi64(carries[p][g], 1), rests[p][g]);
        _mm512_storeu_si512(distances + 32 * p + 8 * (half + g), distance);
      });
    });
  }
}

// Words with every second one replaced by the parity of all from its chain's first on.
std::vector<uint64_t> prefixes(const uint64_t* words, int count, int stride, int chains) {
  std::vector<uint64_t> result(static_cast<size_t>(count));
  uint64_t parity = 0;
  for (int i = 0; i < count; i++) {
    const int inChain = i % (count / chains);
    parity = (inChain == 0 ? 0 : parity) ^ words[i * stride];
    result[static_cast<size_t>(i)] = inChain % 2 == 0 ? words[i * stride] : parity;
  }
  return result;
}

struct Form {
  const char* name;
  Kernel kernel;
  // 0: as they are.
  int chains;
};

constexpr Form kForms[] = {{"plain", plain, 0}, {"window", parity<1>, 1}, {"line", parity<kLines>, kLines}};

alignas(64) uint64_t windows[3][kWindows * kMaxWords];
alignas(64) uint64_t weights[3][kMaxWords * kMaxChannels];
uint64_t distances[kWindows * kMaxChannels];

bool measure(int words, bool first) {
  std::mt19937_64 random(1);
  for (auto& word : windows[0]) word = random();
  for (auto& word : weights[0]) word = random();
  for (int form = 1; form < 3; form++) {
    for (int p = 0; p < kWindows; p++) {
      const auto changed = prefixes(windows[0] + p * kMaxWords, words, 1, kForms[form].chains);
      std::copy(changed.begin(), changed.end(), windows[form] + p * kMaxWords);
    }
    for (int channel = 0; channel < kMaxChannels; channel++) {
      const auto changed = prefixes(weights[0] + channel, words, kMaxChannels, kForms[form].chains);
      for (int i = 0; i < words; i++) weights[form][i * kMaxChannels + channel] = changed[static_cast<size_t>(i)];
    }
  }
  std::vector<double> times[3];
  for (int round = -kRounds / 10; round < kRounds; round++) {
    for (int form = 0; form < 3; form++) {
      const auto start = std::chrono::steady_clock::now();
      for (int call = 0; call < kCallsARound; call++) {
        kForms[form].kernel(windows[form], weights[form], words, distances);
      }
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      if (round >= 0) times[form].push_back(seconds.count());
      for (int p = 0; p < kWindows; p++) {
        for (int channel = 0; channel < kMaxChannels; channel++) {
          uint64_t distance = 0;
          for (int i = 0; i < words; i++) {
            const uint64_t word = windows[0][p * kMaxWords + i] ^ weights[0][i * kMaxChannels + channel];
            distance += static_cast<uint64_t>(__builtin_popcountll(word));
          }
          if (distance != distances[32 * p + channel]) {
            fprintf(stderr, "%s: a distance of window %d is wrong\n", kForms[form].name, p);
            return false;
          }
        }
      }
    }
  }
  printf("%s\n  {\"words\": %d, \"rounds\": %d", first ? "" : ",", words, kRounds);
  for (int form = 1; form < 3; form++) {
    std::vector<double> ratios;
    for (int round = 0; round < kRounds; round++) {
      const auto i = static_cast<size_t>(round);
      ratios.push_back(times[0][i] / times[form][i]);
    }
    std::sort(ratios.begin(), ratios.end());
    const auto at = [&](size_t quarter) { return ratios[quarter * (ratios.size() - 1) / 4]; };
    printf(", \"%s\": {\"lower\": %.4f, \"median\": %.4f, \"upper\": %.4f}", kForms[form].name, at(1), at(2), at(3));
  }
  printf("}");
  return true;
}

}  // namespace

// Windows of 3 × 3 pixels with 128, 256 and 512 channels.
int main() {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vpopcntdq")) {
    printf("[]\n");
    return 0;
  }
  printf("[");
  for (const int words : {18, 36, 72}) {
    if (!measure(words, words == 18)) return 1;
  }
  printf("\n]\n");
}
