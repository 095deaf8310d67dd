#include "proxy/http/connection_options.h"

#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

// True for the fields that Connection may name, of those that the proxy knows at all.
bool may_be_named(FieldId id) {
  switch (id) {
    case FieldId::other:
    case FieldId::connection:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_authenticate:
    case FieldId::proxy_authorization:
    case FieldId::proxy_connection:
    case FieldId::te:
    case FieldId::trailer:
    case FieldId::upgrade:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* ConnectionOptions::read(const Fields& fields) {
  const char* problem = nullptr;
  if (!fields.has(FieldId::connection)) return problem;
  for (const Field field : fields) {
    if (field.id != FieldId::connection) continue;
    for_each_list_element(field.value, [&](std::string_view option) {
      if (!problem) problem = add(option);
    });
  }
  return problem;
}

const char* ConnectionOptions::add(std::string_view option) {
  if (equals_ignoring_case(option, "close")) {
    close_ = true;
    return nullptr;
  }
  if (equals_ignoring_case(option, "keep-alive")) {
    keep_alive_ = true;
    return nullptr;
  }
  if (!is_token(option)) return "malformed Connection";
  const FieldId id = field_id(option);
  if (!may_be_named(id)) return "Connection names an end-to-end field";
  if (id == FieldId::upgrade) upgrade_ = true;
  if (id != FieldId::other) return nullptr;  // removed, or kept, by rules of their own
  if (named_count_ == kNamedMax) return "too many Connection options";
  named_[named_count_++] = option;
  return nullptr;
}

bool ConnectionOptions::names(std::string_view field_name) const {
  for (std::size_t index = 0; index < named_count_; ++index) {
    if (equals_ignoring_case(named_[index], field_name)) return true;
  }
  return false;
}

}  // namespace sluice::http
