// The bound of every kernel on bits: how many 64-bit words a second one core can xor, count and add when everything
// already lies in registers. Prints JSON, an entry for each instruction set that this CPU has.
//
// Each chain feeds on its own sum, so that no compiler can leave an operation out; there are enough chains to hide
// their latency. A sample lasts a few milliseconds, and the median of many is reported with the fastest.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

constexpr int kSamples = 60;
constexpr uint64_t kRounds = 100'000;

volatile uint64_t sink;
volatile uint64_t source = 0x9e3779b97f4a7c15;

#if defined(__x86_64__)

__attribute__((target("avx512f,avx512vpopcntdq"))) uint64_t avx512() {
  constexpr int kChains = 16;
  const __m512i key = _mm512_set1_epi64(static_cast<long long>(source));
  __m512i sums[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; i++)
    sums[i] = _mm512_set1_epi64(static_cast<long long>(source + static_cast<uint64_t>(i)));
  for (uint64_t round = 0; round < kRounds; round++) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; i++) {
      sums[i] = _mm512_add_epi64(sums[i], _mm512_popcnt_epi64(_mm512_xor_si512(sums[i], key)));
    }
  }
  __m512i total = key;
#pragma GCC unroll 16
  for (int i = 0; i < kChains; i++) total = _mm512_xor_si512(total, sums[i]);
  sink = static_cast<uint64_t>(_mm512_reduce_add_epi64(total));
  return kRounds * kChains * 8;
}

__attribute__((target("avx512f,avx512vpopcntdq"))) uint64_t avx512Masked() {
  constexpr int kChains = 12;
  const __m512i key = _mm512_set1_epi64(static_cast<long long>(source));
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(~source));
  __m512i bits[kChains], sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) {
    bits[i] = sums[i] = _mm512_set1_epi64(static_cast<long long>(source + static_cast<uint64_t>(i)));
  }
  for (uint64_t round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) {
      // The operand that vpternlogq overwrites is one that nobody needs any more.
      bits[i] = _mm512_popcnt_epi64(_mm512_ternarylogic_epi64(bits[i], key, mask, 0x28));
      sums[i] = _mm512_add_epi64(sums[i], bits[i]);
    }
  }
  __m512i total = key;
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) total = _mm512_xor_si512(total, sums[i]);
  sink = static_cast<uint64_t>(_mm512_reduce_add_epi64(total));
  return kRounds * kChains * 8;
}

__attribute__((target("avx512f,avx512bw"))) uint64_t avx512bw() {
  constexpr int kChains = 12;
  const __m512i key = _mm512_set1_epi64(static_cast<long long>(source));
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i counts = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  __m512i sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++)
    sums[i] = _mm512_set1_epi64(static_cast<long long>(source + static_cast<uint64_t>(i)));
  for (uint64_t round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) {
      const __m512i bits = _mm512_xor_si512(sums[i], key);
      const __m512i lows = _mm512_shuffle_epi8(counts, _mm512_and_si512(bits, low));
      const __m512i highs = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(bits, 4), low));
      sums[i] = _mm512_add_epi8(sums[i], _mm512_add_epi8(lows, highs));
    }
  }
  __m512i total = key;
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) total = _mm512_xor_si512(total, sums[i]);
  sink = static_cast<uint64_t>(_mm512_reduce_add_epi64(total));
  return kRounds * kChains * 8;
}

__attribute__((target("avx2"))) uint64_t avx2() {
  constexpr int kChains = 8;
  const __m256i key = _mm256_set1_epi64x(static_cast<long long>(source));
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  __m256i sums[kChains];
#pragma GCC unroll 8
  for (int i = 0; i < kChains; i++)
    sums[i] = _mm256_set1_epi64x(static_cast<long long>(source + static_cast<uint64_t>(i)));
  for (uint64_t round = 0; round < kRounds; round++) {
#pragma GCC unroll 8
    for (int i = 0; i < kChains; i++) {
      const __m256i bits = _mm256_xor_si256(sums[i], key);
      const __m256i lows = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low));
      const __m256i highs = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low));
      sums[i] = _mm256_add_epi8(sums[i], _mm256_add_epi8(lows, highs));
    }
  }
  __m256i total = key;
#pragma GCC unroll 8
  for (int i = 0; i < kChains; i++) total = _mm256_xor_si256(total, sums[i]);
  alignas(32) uint64_t words[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(words), total);
  sink = words[0] ^ words[1] ^ words[2] ^ words[3];
  return kRounds * kChains * 4;
}

__attribute__((target("popcnt"))) uint64_t scalar() {
  constexpr int kChains = 10;
  const uint64_t key = source;
  uint64_t sums[kChains];
#pragma GCC unroll 10
  for (int i = 0; i < kChains; i++) sums[i] = source + static_cast<uint64_t>(i);
  for (uint64_t round = 0; round < kRounds; round++) {
#pragma GCC unroll 10
    for (int i = 0; i < kChains; i++) {
      // Opaque, or a compiler would count bits in vectors.
      asm("" : "+r"(sums[i]));
      sums[i] += static_cast<uint64_t>(__builtin_popcountll(sums[i] ^ key));
    }
  }
  uint64_t total = key;
#pragma GCC unroll 10
  for (int i = 0; i < kChains; i++) total ^= sums[i];
  sink = total;
  return kRounds * kChains;
}

#elif defined(__aarch64__)

uint64_t neon() {
  constexpr int kChains = 12;
  const uint8x16_t key = vreinterpretq_u8_u64(vdupq_n_u64(source));
  uint8x16_t sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) sums[i] = vreinterpretq_u8_u64(vdupq_n_u64(source + static_cast<uint64_t>(i)));
  for (uint64_t round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) sums[i] = vaddq_u8(sums[i], vcntq_u8(veorq_u8(sums[i], key)));
  }
  uint8x16_t total = key;
#pragma GCC unroll 12
  for (int i = 0; i < kChains; i++) total = veorq_u8(total, sums[i]);
  sink = vgetq_lane_u64(vreinterpretq_u64_u8(total), 0);
  return kRounds * kChains * 2;
}

#endif

void measure(const char* name, const char* what, uint64_t (*run)(), bool* first) {
  std::vector<double> rates;
  for (int sample = -kSamples / 4; sample < kSamples; sample++) {
    const auto start = std::chrono::steady_clock::now();
    const uint64_t words = run();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (sample >= 0) rates.push_back(static_cast<double>(words) / seconds.count());
  }
  std::sort(rates.begin(), rates.end());
  printf("%s  \"%s\": {\"what\": \"%s\", \"samples\": %d, \"wordOperationsPerSecond\": %.0f, \"fastest\": %.0f}",
         *first ? "" : ",\n", name, what, kSamples, rates[rates.size() / 2], rates.back());
  *first = false;
}

}  // namespace

int main() {
  bool first = true;
  printf("{\n");
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq")) {
    measure("avx512", "xor, vpopcntq and add of 512 bits, from registers", avx512, &first);
    measure("avx512 masked", "vpternlogq, vpopcntq and add of 512 bits, from registers", avx512Masked, &first);
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
    measure("avx512bw", "xor, two look-ups a byte and add of 512 bits, from registers", avx512bw, &first);
  }
  if (__builtin_cpu_supports("avx2")) {
    measure("avx2", "xor, two look-ups a byte and add of 256 bits, from registers", avx2, &first);
  }
  if (__builtin_cpu_supports("popcnt")) {
    measure("scalar", "xor, popcnt and add of 64 bits, from registers", scalar, &first);
  }
#elif defined(__aarch64__)
  measure("neon", "eor, cnt and add of 128 bits, from registers", neon, &first);
#endif
  printf("\n}\n");
}
