#include "guarded-memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fail.h"

namespace xnord::selftest {
namespace {

constexpr size_t kGuardBytes = size_t{1} << 22;

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

GuardedMemory::GuardedMemory() : pageBytes_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
  void* memory = mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("4 GiB of addresses cannot be reserved");
  arena_ = static_cast<uint8_t*>(memory);
}

GuardedMemory::~GuardedMemory() { munmap(arena_, kBytes); }

Placement GuardedMemory::open(size_t zone, size_t size, size_t alignment, Edge edge) {
  if (zone >= kZones || size > kMaxBytes || alignment == 0 || pageBytes_ % alignment != 0)
    fail("there is no room for such a buffer");
  uint8_t* const pages = arena_ + zoneBegin(zone) + kGuardBytes;
  const size_t reach = roundUp(size, alignment);
  const size_t bytes = roundUp(reach, pageBytes_);
  setAccess(pages, pages + bytes, PROT_READ | PROT_WRITE);
  return {edge == Edge::end ? pages + bytes - reach : pages, size, pages, pages + bytes};
}

void GuardedMemory::protect(const Placement& placement) {
  setAccess(placement.pagesBegin, placement.pagesEnd, PROT_READ);
}

void GuardedMemory::close(const Placement& placement) {
  setAccess(placement.pagesBegin, placement.pagesEnd, PROT_NONE);
}

void GuardedMemory::setAccess(uint8_t* begin, uint8_t* end, int access) {
  if (mprotect(begin, static_cast<size_t>(end - begin), access) != 0) fail("the access to pages cannot be set");
}

}  // namespace xnord::selftest
