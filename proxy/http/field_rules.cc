#include "proxy/http/field_rules.h"

#include <algorithm>
#include <array>
#include <string>

namespace sluice::http {
namespace {

// Of fields that the proxy has no other use for: those that change what a request asks for, or how
// a response is taken (RFC 9110 §6.5.1). In lower case.
constexpr std::array<std::string_view, 17> kHeadOnlyNames = {"accept",
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
                                                             "x-original-url"};

// Who the client is and how it came, as proxies tell servers besides the fields that have an id.
constexpr std::string_view kForwardedPrefix = "x-forwarded-";
constexpr std::array<std::string_view, 13> kTellingNames = {
    "cf-connecting-ip", "cf-connecting-ipv6",  "client-ip",
    "fastly-client-ip", "front-end-https",     "true-client-ip",
    "x-client-ip",      "x-cluster-client-ip", "x-original-forwarded-for",
    "x-original-host",  "x-real-ip",           "x-scheme",
    "x-url-scheme"};

bool begins_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

}  // namespace

bool tells_of_client(std::string_view name) {
  // Most names are none of these, as their first byte says.
  constexpr char kLowerCase = 0x20;
  constexpr std::string_view kFirst = "cftx";
  if (name.empty() || kFirst.find(static_cast<char>(name[0] | kLowerCase)) == kFirst.npos) {
    return false;
  }
  return begins_ignoring_case(name, kForwardedPrefix) ||
         std::ranges::any_of(kTellingNames, [&](std::string_view telling) {
           return equals_ignoring_case(name, telling);
         });
}

bool may_be_trailer(const Field& field) {
  switch (field.id) {
    case FieldId::date:
    case FieldId::proxy_status:
    case FieldId::server:
      return true;
    case FieldId::other:
      return !begins_ignoring_case(field.name, "proxy-") && !tells_of_client(field.name) &&
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
