#include "proxy/http/field_rules.h"

#include <algorithm>
#include <array>
#include <string>

namespace sluice::http {
namespace {

// Of fields that the proxy has no other use for: those that change what a request asks for, or how
// a response is taken (RFC 9110 §6.5.1). In lower case.
constexpr std::array<std::string_view, 18> kHeadOnlyNames = {"accept",
                                                             "accept-charset",
                                                             "accept-encoding",
                                                             "accept-language",
                                                             "content-location",
                                                             "expires",
                                                             "if-match",
                                                             "if-modified-since",
                                                             "if-none-match",
                                                             "if-range",
                                                             "if-unmodified-since",
                                                             "pragma",
                                                             "range",
                                                             "retry-after",
                                                             "vary",
                                                             "x-http-method-override",
                                                             "x-original-url",
                                                             "x-real-ip"};

// Who the client is, and where it wanted to go, as proxies say it.
constexpr std::array<std::string_view, 2> kHeadOnlyPrefixes = {"x-forwarded-", "proxy-"};

bool begins_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// Of those, what a server takes as the proxy's word.
bool tells_of_client(std::string_view name) {
  return begins_ignoring_case(name, "x-forwarded-") || equals_ignoring_case(name, "x-real-ip");
}

}  // namespace

bool may_be_trailer(const Field& field) {
  switch (field.id) {
    case FieldId::date:
    case FieldId::proxy_status:
    case FieldId::server:
      return true;
    case FieldId::other:
      return std::ranges::none_of(kHeadOnlyPrefixes,
                                  [&](std::string_view prefix) {
                                    return begins_ignoring_case(field.name, prefix);
                                  }) &&
             std::ranges::none_of(kHeadOnlyNames, [&](std::string_view name) {
               return equals_ignoring_case(field.name, name);
             });
    default:
      return false;
  }
}

bool is_disguised(std::string_view name) {
  if (name.find('_') == std::string_view::npos) return false;
  std::string plain(name);
  std::ranges::replace(plain, '_', '-');
  return field_id(plain) != FieldId::other || tells_of_client(plain);
}

}  // namespace sluice::http
