// Bytes as they come and go: views, and the casts between text and bytes, in one place.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace sluice {

// A view of bytes that the callee may read until it returns, unless a header says otherwise.
using Bytes = std::span<const std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace sluice
