// The bound of every kernel on bits: how many 64-bit words a second one core can xor, count and add when everything
// already lies in registers. Compiled with the flags of one instruction set, it prints JSON, an entry for each mix of
// instructions that its kernels use.
//
// Each chain feeds on its own sum, so that no compiler can leave an operation out. A peak is a maximum: how many chains
// hide their latency, and still find room in the registers, differs from core to core, and even then some CPUs fall
// into one of several rhythms. So each mix runs with several numbers of chains, and the fastest sample counts; a sample
// is so long that no clock can flatter it.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "../native/unroll.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

using xnord::unroll;

constexpr int kSamples = 25;
// About a millisecond.
constexpr uint64_t kRounds = 200'000;

volatile uint64_t sink;
volatile uint64_t source = 0x9e3779b97f4a7c15;

template <int... kNumbers>
using Chains = std::integer_sequence<int, kNumbers...>;

template <class...>
struct List {};

#if defined(__AVX512F__)

__m512i broadcast(uint64_t word) { return _mm512_set1_epi64(static_cast<long long>(word)); }
uint64_t fold(__m512i sums) { return static_cast<uint64_t>(_mm512_reduce_add_epi64(sums)); }

#elif defined(__AVX2__)

__m256i broadcast(uint64_t word) { return _mm256_set1_epi64x(static_cast<long long>(word)); }
uint64_t fold(__m256i sums) {
  alignas(32) uint64_t words[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(words), sums);
  return words[0] ^ words[1] ^ words[2] ^ words[3];
}

#endif

#if defined(__AVX512VPOPCNTDQ__)

struct Avx512 {
  static constexpr const char* kName = "avx512";
  static constexpr const char* kWhat = "xor, vpopcntq and add of 512 bits, from registers";
  static constexpr Chains<8, 12, 16, 20, 24, 28> kChains{};
  static constexpr uint64_t kWords = 8;
  using Chain = __m512i;
  const __m512i key = broadcast(source);

  static Chain start(uint64_t word) { return broadcast(word); }
  void add(Chain& sums) const { sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(_mm512_xor_si512(sums, key))); }
  static uint64_t end(const Chain& sums) { return fold(sums); }
};

struct Avx512Masked {
  static constexpr const char* kName = "avx512 masked";
  static constexpr const char* kWhat = "vpternlogq, vpopcntq and add of 512 bits, from registers";
  // A chain takes two registers.
  static constexpr Chains<6, 8, 10, 12, 14, 15> kChains{};
  static constexpr uint64_t kWords = 8;
  struct Chain {
    __m512i bits;
    __m512i sums;
  };
  const __m512i key = broadcast(source);
  const __m512i mask = broadcast(~source);

  static Chain start(uint64_t word) { return {broadcast(word), broadcast(word)}; }
  void add(Chain& chain) const {
    // The operand that vpternlogq overwrites is one that nobody needs any more.
    chain.bits = _mm512_popcnt_epi64(_mm512_ternarylogic_epi64(chain.bits, key, mask, 0x28));
    chain.sums = _mm512_add_epi64(chain.sums, chain.bits);
  }
  static uint64_t end(const Chain& chain) { return fold(chain.sums); }
};

using Mixes = List<Avx512, Avx512Masked>;

#elif defined(__AVX512BW__)

struct Avx512bw {
  static constexpr const char* kName = "avx512bw";
  static constexpr const char* kWhat = "xor, two look-ups a byte and add of 512 bits, from registers";
  static constexpr Chains<6, 8, 10, 12, 14, 16> kChains{};
  static constexpr uint64_t kWords = 8;
  using Chain = __m512i;
  const __m512i key = broadcast(source);
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i counts = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));

  static Chain start(uint64_t word) { return broadcast(word); }
  void add(Chain& sums) const {
    const __m512i bits = _mm512_xor_si512(sums, key);
    const __m512i lows = _mm512_shuffle_epi8(counts, _mm512_and_si512(bits, low));
    const __m512i highs = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(bits, 4), low));
    sums = _mm512_add_epi8(sums, _mm512_add_epi8(lows, highs));
  }
  static uint64_t end(const Chain& sums) { return fold(sums); }
};

using Mixes = List<Avx512bw>;

#elif defined(__AVX2__)

struct Avx2 {
  static constexpr const char* kName = "avx2";
  static constexpr const char* kWhat = "xor, two look-ups a byte and add of 256 bits, from registers";
  static constexpr Chains<4, 6, 7, 8, 9, 10> kChains{};
  static constexpr uint64_t kWords = 4;
  using Chain = __m256i;
  const __m256i key = broadcast(source);
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));

  static Chain start(uint64_t word) { return broadcast(word); }
  void add(Chain& sums) const {
    const __m256i bits = _mm256_xor_si256(sums, key);
    const __m256i lows = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low));
    const __m256i highs = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low));
    sums = _mm256_add_epi8(_mm256_add_epi8(sums, lows), highs);
    // Opaque, or GCC gives the sum another register, and copies it.
    asm("" : "+x"(sums));
  }
  static uint64_t end(const Chain& sums) { return fold(sums); }
};

using Mixes = List<Avx2>;

#elif defined(__POPCNT__)

struct Scalar {
  static constexpr const char* kName = "scalar";
  static constexpr const char* kWhat = "xor, popcnt and add of 64 bits, from registers";
  static constexpr Chains<4, 6, 8, 10, 12> kChains{};
  static constexpr uint64_t kWords = 1;
  using Chain = uint64_t;
  const uint64_t key = source;

  static Chain start(uint64_t word) { return word; }
  void add(Chain& sum) const {
    // Opaque, or a compiler would count bits in vectors.
    asm("" : "+r"(sum));
    sum += static_cast<uint64_t>(__builtin_popcountll(sum ^ key));
  }
  static uint64_t end(const Chain& sum) { return sum; }
};

using Mixes = List<Scalar>;

#elif defined(__aarch64__)

struct Neon {
  static constexpr const char* kName = "neon";
  static constexpr const char* kWhat = "eor, cnt and add of 128 bits, from registers";
  static constexpr Chains<6, 8, 12, 16, 20, 24> kChains{};
  static constexpr uint64_t kWords = 2;
  using Chain = uint8x16_t;
  const uint8x16_t key = start(source);

  static Chain start(uint64_t word) { return vreinterpretq_u8_u64(vdupq_n_u64(word)); }
  void add(Chain& sums) const { sums = vaddq_u8(sums, vcntq_u8(veorq_u8(sums, key))); }
  static uint64_t end(const Chain& sums) { return vgetq_lane_u64(vreinterpretq_u64_u8(sums), 0); }
};

using Mixes = List<Neon>;

#endif

// Words that were xored, counted and added.
template <class Mix, int kChains>
uint64_t run() {
  const Mix mix;
  typename Mix::Chain chains[kChains];
  unroll<kChains>([&](auto i) { chains[i] = Mix::start(source + static_cast<uint64_t>(int{i})); });
  for (uint64_t round = 0; round < kRounds; round++) {
    unroll<kChains>([&](auto i) __attribute__((always_inline)) { mix.add(chains[i]); });
  }
  uint64_t total = 0;
  unroll<kChains>([&](auto i) { total ^= Mix::end(chains[i]); });
  sink = total;
  return kRounds * kChains * Mix::kWords;
}

struct Peak {
  double wordsPerSecond = 0;
  int chains = 0;
};

template <class Mix, int kChains>
void consider(Peak& peak) {
  for (int sample = 0; sample < kSamples; sample++) {
    const auto start = std::chrono::steady_clock::now();
    const uint64_t words = run<Mix, kChains>();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(words) / seconds.count();
    if (rate > peak.wordsPerSecond) peak = {rate, kChains};
  }
}

template <class Mix, int... kNumbers>
Peak peakOf(Chains<kNumbers...>) {
  Peak peak;
  (consider<Mix, kNumbers>(peak), ...);
  return peak;
}

template <class... All>
void report(List<All...>) {
  const char* separator = "{";
  const auto print = [&](const char* name, const char* what, Peak peak) {
    printf("%s\n  \"%s\": {\"what\": \"%s\", \"chains\": %d, \"wordOperationsPerSecond\": %.0f}", separator, name, what,
           peak.chains, peak.wordsPerSecond);
    separator = ",";
  };
  (print(All::kName, All::kWhat, peakOf<All>(All::kChains)), ...);
  printf("\n}\n");
}

}  // namespace

int main() { report(Mixes()); }
