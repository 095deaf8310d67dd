// What the Connection fields of a message say (RFC 9110 §7.6.1). A value for the length of a call:
// its views are into the Fields it was read from.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "proxy/http/message.h"

namespace sluice::http {

class ConnectionOptions {
 public:
  // Options of one message, those that the proxy knows not counted. More are refused.
  static constexpr std::size_t kNamedMax = 16;

  // nullptr, or why the fields are refused: an option that is no token, too many of them, or one
  // that names a field which is meant for the far end (a sender could otherwise have Sluice strip
  // a request of its credentials, its client's address or its framing).
  const char* read(const Fields& fields);

  bool close() const { return close_; }
  bool keep_alive() const { return keep_alive_; }
  bool upgrade() const { return upgrade_; }
  // The field belongs to this hop because an option names it.
  bool names(std::string_view field_name) const;

 private:
  const char* add(std::string_view option);

  std::array<std::string_view, kNamedMax> named_;
  std::size_t named_count_ = 0;
  bool close_ = false;
  bool keep_alive_ = false;
  bool upgrade_ = false;
};

}  // namespace sluice::http
