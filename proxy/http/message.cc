#include "proxy/http/message.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

struct NamedId {
  std::string_view name;  // lower case
  FieldId id = FieldId::other;
};

constexpr auto kNamedIds = std::to_array<NamedId>({
    {"age", FieldId::age},
    {"authorization", FieldId::authorization},
    {"cache-control", FieldId::cache_control},
    {"connection", FieldId::connection},
    {"content-encoding", FieldId::content_encoding},
    {"content-length", FieldId::content_length},
    {"content-range", FieldId::content_range},
    {"content-type", FieldId::content_type},
    {"cookie", FieldId::cookie},
    {"date", FieldId::date},
    {"expect", FieldId::expect},
    {"forwarded", FieldId::forwarded},
    {"host", FieldId::host},
    {"http2-settings", FieldId::http2_settings},
    {"keep-alive", FieldId::keep_alive},
    {"location", FieldId::location},
    {"max-forwards", FieldId::max_forwards},
    {"proxy-authenticate", FieldId::proxy_authenticate},
    {"proxy-authorization", FieldId::proxy_authorization},
    {"proxy-connection", FieldId::proxy_connection},
    {"proxy-status", FieldId::proxy_status},
    {"sec-websocket-accept", FieldId::sec_websocket_accept},
    {"sec-websocket-key", FieldId::sec_websocket_key},
    {"sec-websocket-version", FieldId::sec_websocket_version},
    {"server", FieldId::server},
    {"set-cookie", FieldId::set_cookie},
    {"te", FieldId::te},
    {"trailer", FieldId::trailer},
    {"transfer-encoding", FieldId::transfer_encoding},
    {"upgrade", FieldId::upgrade},
    {"via", FieldId::via},
    {"www-authenticate", FieldId::www_authenticate},
    {"x-forwarded-for", FieldId::x_forwarded_for},
    {"x-forwarded-host", FieldId::x_forwarded_host},
    {"x-forwarded-proto", FieldId::x_forwarded_proto},
    {"x-request-id", FieldId::x_request_id},
});

// A perfect hash of the names above by length, first and last byte, its factors found when this is
// compiled. One comparison then tells whether a name is known.
struct PerfectHash {
  static constexpr std::size_t kSlots = 128;

  unsigned first_factor = 0;
  unsigned last_factor = 0;

  // Letters of either case fall together; what else falls together is told apart by comparison.
  constexpr std::size_t slot(std::string_view name) const {
    const auto first = static_cast<unsigned char>(name.front()) & 0x1fu;
    const auto last = static_cast<unsigned char>(name.back()) & 0x1fu;
    return (name.size() + first * first_factor + last * last_factor) % kSlots;
  }
  constexpr bool is_perfect() const {
    std::array<bool, kSlots> taken{};
    for (const NamedId& named : kNamedIds) {
      if (std::exchange(taken[slot(named.name)], true)) return false;
    }
    return true;
  }
};

constexpr PerfectHash kHash = [] {
  for (unsigned first = 1; first < PerfectHash::kSlots; ++first) {
    for (unsigned last = 1; last < PerfectHash::kSlots; ++last) {
      if (const PerfectHash hash{first, last}; hash.is_perfect()) return hash;
    }
  }
  return PerfectHash{};
}();
static_assert(kHash.is_perfect(), "give PerfectHash more slots");

constexpr std::array<NamedId, PerfectHash::kSlots> kIdBySlot = [] {
  std::array<NamedId, PerfectHash::kSlots> table{};
  for (const NamedId& named : kNamedIds) table[kHash.slot(named.name)] = named;
  return table;
}();

// Eight bytes with 'A' to 'Z' made small, the other 230 values untouched.
std::uint64_t lower_eight(const char* from) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint64_t bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  const std::uint64_t low_bits = bytes & (0x7f * kOnes);
  const std::uint64_t from_a = low_bits + (0x80 - 'A') * kOnes;
  const std::uint64_t above_z = low_bits + (0x7f - 'Z') * kOnes;
  const std::uint64_t is_upper = (from_a ^ above_z) & ~bytes & (0x80 * kOnes);
  return bytes | is_upper >> 2;
}

}  // namespace

FieldId field_id(std::string_view name) {
  if (name.empty()) return FieldId::other;
  const NamedId& candidate = kIdBySlot[kHash.slot(name)];
  const bool known =
      name.size() == candidate.name.size() && equals_ignoring_case(name, candidate.name);
  return known ? candidate.id : FieldId::other;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  constexpr std::size_t kBlock = sizeof(std::uint64_t);
  if (a.size() < kBlock) {
    for (std::size_t at = 0; at < a.size(); ++at) {
      if (to_lower(a[at]) != to_lower(b[at])) return false;
    }
    return true;
  }
  for (std::size_t at = 0; at + kBlock < a.size(); at += kBlock) {
    if (lower_eight(a.data() + at) != lower_eight(b.data() + at)) return false;
  }
  const std::size_t tail = a.size() - kBlock;
  return lower_eight(a.data() + tail) == lower_eight(b.data() + tail);
}

void Fields::append(std::string_view name, std::string_view value, FieldId id, bool never_indexed) {
  // What most heads need, in one allocation each.
  constexpr std::size_t kFirstTextBytes = 512;
  constexpr std::size_t kFirstEntries = 16;
  if (entries_.capacity() == 0) {
    entries_.reserve(kFirstEntries);
    text_.reserve(kFirstTextBytes);
  }
  SLUICE_CHECK(name.size() <= kNameBytesMax);
  SLUICE_CHECK(value.size() <= kTextBytesMax &&
               text_.size() <= kTextBytesMax - name.size() - value.size());
  const std::size_t offset = text_.size();
  const std::size_t end = offset + name.size() + value.size();
  entries_.push_back({static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(value.size()),
                      static_cast<std::uint16_t>(name.size()), id, never_indexed});
  present_ |= bit(id);
  text_.resize_and_overwrite(end, [&](char* text, std::size_t) {
    name.copy(text + offset, name.size());
    value.copy(text + offset + name.size(), value.size());
    return end;
  });
}

void Fields::append_lower(const Field& field) {
  append(field.name, field.value, field.id, field.never_indexed);
  char* const copied = text_.data() + entries_.back().offset;
  std::transform(copied, copied + field.name.size(), copied, to_lower);
}

std::optional<std::string_view> Fields::find(FieldId id) const {
  if (!has(id)) return {};
  for (std::size_t index = 0; index < entries_.size(); ++index) {
    if (entries_[index].id == id) return (*this)[index].value;
  }
  return {};
}

std::optional<std::string_view> Fields::find(std::string_view name) const {
  for (const Field field : *this) {
    if (equals_ignoring_case(field.name, name)) return field.value;
  }
  return {};
}

std::size_t Fields::count(FieldId id) const {
  if (!has(id)) return 0;
  std::size_t found = 0;
  for (const Entry& entry : entries_) found += entry.id == id;
  return found;
}

Method method_from(std::string_view token) {
  static constexpr auto kMethods = std::to_array<std::pair<std::string_view, Method>>({
      {"GET", Method::get},
      {"HEAD", Method::head},
      {"POST", Method::post},
      {"PUT", Method::put},
      {"DELETE", Method::del},
      {"CONNECT", Method::connect},
      {"OPTIONS", Method::options},
      {"TRACE", Method::trace},
      {"PATCH", Method::patch},
  });
  for (const auto& [name, method] : kMethods) {
    if (token == name) return method;
  }
  return Method::other;
}

bool is_idempotent(Method method) {
  switch (method) {
    case Method::get:
    case Method::head:
    case Method::put:
    case Method::del:
    case Method::options:
    case Method::trace:
      return true;
    case Method::post:
    case Method::patch:
    case Method::connect:
    case Method::other:
      return false;
  }
  return false;
}

void RequestHead::clear() {
  method_text.clear();
  method = Method::other;
  scheme.clear();
  authority.clear();
  target.clear();
  protocol.clear();
  version = Version::http_1_1;
  fields.clear();
  body = {};
  expects_continue = false;
  keep_alive = true;
}

void ResponseHead::clear() {
  status = 0;
  reason.clear();
  version = Version::http_1_1;
  fields.clear();
  body = {};
  keep_alive = true;
}

}  // namespace sluice::http
