// The cases of a file, which test/native/case-file.ts writes. All integers are 32 bits wide and little-endian; text is
// its length and UTF-8.
//
//   file     "xnord-st", fields of a step, the name of each, cases, each case
//   case     label, rows, steps, their tables field by field, buffers, each buffer, places, each place
//   buffer   name, size, alignment, kind, pieces before, each piece, pieces after, each piece
//   piece    offset in the buffer, size, bytes
//   place    step, field, base, buffer, offset in the buffer: the field is to point there
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace xnord::selftest {

// Bytes of the file, which outlives the cases.
struct Piece {
  uint32_t offset;
  uint32_t size;
  const uint8_t* bytes;
};

enum class BufferKind : uint32_t {
  // A step reads it: weights, a table, a value.
  input = 0,
  // A step writes exactly the pieces after.
  output = 1,
  // Steps write it as they like, and leave the pieces after in it: all values of a forward pass.
  slot = 2,
};

// What is not in `before` holds anything, and must not matter.
struct Buffer {
  std::string name;
  uint32_t size;
  uint32_t alignment;
  BufferKind kind;
  std::vector<Piece> before;
  std::vector<Piece> after;
};

enum class Base : uint32_t { arena = 0, slot = 1 };

// A field that counts bytes from the base to a place in a buffer.
struct Place {
  uint32_t step;
  uint32_t field;
  Base base;
  uint32_t buffer;
  uint32_t offset;
};

struct Case {
  std::string label;
  uint32_t rows;
  // [step][field]
  std::vector<std::vector<uint32_t>> steps;
  std::vector<Buffer> buffers;
  std::vector<Place> places;
};

struct Cases {
  std::vector<uint8_t> file;
  std::vector<std::string> fields;
  std::vector<Case> all;
};

// Fails where the file cannot be read, is no such file or is cut short.
Cases readCases(const std::string& path);

}  // namespace xnord::selftest
