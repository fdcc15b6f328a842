// Memory in which a step over an edge is seen: every buffer has pages of its own, which begin or end at the buffer's
// edge, and between them lie gigabytes that no access is allowed to.
#pragma once

#include <cstddef>
#include <cstdint>

namespace xnord::selftest {

enum class Edge {
  // The buffer ends where its pages end, or less than its alignment before.
  end,
  // The buffer begins where its pages begin.
  begin,
};

// Where a buffer lies, and the pages that hold it and nothing else.
struct Placement {
  uint8_t* begin;
  size_t size;
  uint8_t* pagesBegin;
  uint8_t* pagesEnd;
};

// An arena of almost 4 GiB in zones, one buffer in each: low and high addresses, as far as 32 bits reach.
class GuardedMemory {
 public:
  static constexpr size_t kZones = 16;
  // Of the arena. Its last zone is cut, so that 32 bits reach the end, too.
  static constexpr size_t kBytes = (size_t{1} << 32) - (size_t{1} << 20);
  // Of a buffer; what is left of a zone are its guards.
  static constexpr size_t kMaxBytes = size_t{1} << 27;

  // Fails where the system gives no such memory.
  GuardedMemory();
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  uint8_t* arena() const { return arena_; }

  // Of the arena; the first buffer's pages lie further on than 64 KiB.
  static constexpr size_t zoneBegin(size_t zone) { return zone * ((size_t{1} << 32) / kZones); }

  // Opens pages for a buffer in a zone that holds none, for reading and writing.
  Placement open(size_t zone, size_t size, size_t alignment, Edge edge);
  // From here on, writing to it is an error.
  void protect(const Placement& placement);
  void close(const Placement& placement);

 private:
  void setAccess(uint8_t* begin, uint8_t* end, int access);

  size_t pageBytes_;
  uint8_t* arena_;
};

}  // namespace xnord::selftest
