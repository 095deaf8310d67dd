#include "proxy/http/grpc.h"

namespace sluice::http {

bool is_grpc(const Fields& request_fields) {
  constexpr std::string_view kType = "application/grpc";
  const auto type = request_fields.find(FieldId::content_type);
  if (!type || !equals_ignoring_case(type->substr(0, kType.size()), kType)) return false;
  const std::string_view rest = type->substr(kType.size());
  return rest.empty() || std::string_view("+; \t").contains(rest.front());
}

GrpcStatus grpc_status_for(int http_status) {
  switch (http_status) {
    case 400:
      return GrpcStatus::internal;
    case 401:
      return GrpcStatus::unauthenticated;
    case 403:
      return GrpcStatus::permission_denied;
    case 404:
      return GrpcStatus::unimplemented;
    case 408:
      return GrpcStatus::deadline_exceeded;
    case 413:
    case 414:
    case 431:
      return GrpcStatus::resource_exhausted;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus::unavailable;
    default:
      return GrpcStatus::unknown;
  }
}

std::string grpc_message(std::string_view text) {
  constexpr std::string_view kHexDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kHexDigits[byte >> 4];
    encoded += kHexDigits[byte & 0xf];
  }
  return encoded;
}

}  // namespace sluice::http
