// Which fields may stand where, whatever the HTTP version: codecs ask. Pure.
#pragma once

#include <string_view>

#include "proxy/http/message.h"

namespace sluice::http {

// Fields that frame, route, authenticate or change a message, or say how its content is to be read,
// belong in its head: in a trailer section they are an error (RFC 9110 §6.5.1).
bool may_be_trailer(const Field& field);

// True for X-Real-IP, X-Forwarded-Port and the like: what servers take as a proxy's word about its
// client, besides the fields that have a FieldId.
bool tells_of_client(std::string_view name);

// True for `Content_Length` or `X_Forwarded_For`: gateways that hand names on as variables (CGI,
// WSGI) make one of '-' and '_', so that such a field passes for the one that proxies watch. In a
// request it is an error.
bool is_disguised(std::string_view name);

}  // namespace sluice::http
