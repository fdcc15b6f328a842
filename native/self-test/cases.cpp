#include "cases.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include "../step.h"
#include "fail.h"

namespace xnord::selftest {
namespace {

constexpr char kMagic[] = "xnord-st";

class Reader {
 public:
  explicit Reader(const std::vector<uint8_t>& file) : next_(file.data()), end_(file.data() + file.size()) {}

  const uint8_t* bytes(size_t size) {
    if (size > static_cast<size_t>(end_ - next_)) fail("the case file is cut short");
    const uint8_t* begin = next_;
    next_ += size;
    return begin;
  }

  uint32_t integer() {
    const uint8_t* b = bytes(4);
    return b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
  }

  std::string text() {
    const uint32_t size = integer();
    return std::string(reinterpret_cast<const char*>(bytes(size)), size);
  }

  // A count, then as many of what `read` reads.
  template <typename Read>
  auto list(Read read) {
    std::vector<decltype(read())> items;
    for (uint32_t left = integer(); left > 0; left--) items.push_back(read());
    return items;
  }

  bool done() const { return next_ == end_; }

 private:
  const uint8_t* next_;
  const uint8_t* end_;
};

Piece readPiece(Reader& reader, uint32_t bufferSize) {
  Piece piece{};
  piece.offset = reader.integer();
  piece.size = reader.integer();
  piece.bytes = reader.bytes(piece.size);
  if (piece.offset > bufferSize || piece.size > bufferSize - piece.offset) fail("a piece lies outside its buffer");
  return piece;
}

Buffer readBuffer(Reader& reader) {
  Buffer buffer;
  buffer.name = reader.text();
  buffer.size = reader.integer();
  buffer.alignment = reader.integer();
  buffer.kind = static_cast<BufferKind>(reader.integer());
  const auto piece = [&] { return readPiece(reader, buffer.size); };
  buffer.before = reader.list(piece);
  buffer.after = reader.list(piece);
  return buffer;
}

Place readPlace(Reader& reader) {
  Place place{};
  place.step = reader.integer();
  place.field = reader.integer();
  place.base = static_cast<Base>(reader.integer());
  place.buffer = reader.integer();
  place.offset = reader.integer();
  return place;
}

Case readCase(Reader& reader, size_t fields) {
  Case one;
  one.label = reader.text();
  one.rows = reader.integer();
  one.steps = reader.list([&] {
    std::vector<uint32_t> table;
    for (size_t field = 0; field < fields; field++) table.push_back(reader.integer());
    return table;
  });
  one.buffers = reader.list([&] { return readBuffer(reader); });
  one.places = reader.list([&] { return readPlace(reader); });
  for (const Place& place : one.places) {
    if (place.step >= one.steps.size() || place.field >= fields || place.buffer >= one.buffers.size())
      fail(one.label + ": a place names what is not there");
  }
  return one;
}

}  // namespace

Cases readCases(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail(path + " cannot be read");
  Cases cases;
  cases.file.assign(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  Reader reader(cases.file);
  if (std::memcmp(reader.bytes(sizeof kMagic - 1), kMagic, sizeof kMagic - 1) != 0) fail(path + " is not a case file");
  cases.fields = reader.list([&] { return reader.text(); });
  if (cases.fields.size() * sizeof(uint32_t) != sizeof(Step)) fail(path + " was written for a step of another size");
  cases.all = reader.list([&] { return readCase(reader, cases.fields.size()); });
  if (!reader.done()) fail(path + " goes on behind its last case");
  return cases;
}

}  // namespace xnord::selftest
