// Problems: errors as `application/problem+json` (RFC 9457). Of the type "about:blank", with the
// status' own title, a `code` for scripts, a `detail` for people, and what else helps.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "admin/api.h"

namespace sluice::admin {

class JsonWriter;

// `code`: one word of [a-z_]. `detail`: what is wrong, where, and what would be right.
Reply problem(int status, std::string_view code, std::string detail);
// With further members: `members(writer)` adds them to the object.
Reply problem(int status, std::string_view code, std::string detail,
              const std::function<void(JsonWriter&)>& members);

// The words of an HTTP status (RFC 9110 §15).
std::string_view status_title(int status);

}  // namespace sluice::admin
