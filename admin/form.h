// Form: what a call says beside its path: query, form body, JSON body, If-Match. Strict: what is
// not understood is an error that names it, never skipped. Pure functions over one request.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/api.h"

namespace sluice::admin {

// Names and values in the order of the text, decoded.
using FieldList = std::vector<std::pair<std::string, std::string>>;

// nullopt: a `%` without two hex digits behind it.
std::optional<std::string> percent_decode(std::string_view text);

// application/x-www-form-urlencoded, as browsers and `curl -d` write it: `a=1&b=x+y%21`. Empty
// pieces are skipped. `where` names the text in errors ("the query"). The error is a Reply of 400.
std::expected<FieldList, Reply> parse_form(std::string_view text, std::string_view where);

// A JSON object of text and numbers: {"to": "green"}, {"blue": 90, "green": 10} or
// {"weights": {"blue": 90, "green": 10}, "author": "ci"}.
struct JsonBody {
  FieldList texts;
  FieldList numbers;  // as written: no digit is lost
  bool has_weights_member = false;
};
std::expected<JsonBody, Reply> parse_json_body(std::string_view text);

// What a call may say.
struct Accepted {
  std::span<const std::string_view> names;  // in the query, or in the body if `body`
  bool body = false;
  bool weights = false;  // the body states weights: any further name is a backend's
  bool words = false;    // of these, the values are words, not numbers
};

// What it says. Each name at most once over query and body together.
struct Parameters {
  std::map<std::string, std::string, std::less<>> texts;
  FieldList weights;

  std::optional<std::string> find(std::string_view name) const;
  // Takes one of `names`, once. The error says what is known, or that it is said twice.
  std::expected<void, Reply> put(const std::string& name, std::string value, std::string_view where,
                                 std::span<const std::string_view> names);
};
// Whether the body is sent as JSON.
bool is_json(const Request& request);
// The error is 400, 413, 415 or 422.
std::expected<Parameters, Reply> read_parameters(const Request& request, std::string_view query,
                                                 const Accepted& accepted);

// `500ms`, `60s`, `2m`; at most kWaitMax.
std::expected<Duration, Reply> parse_wait(std::string_view text);
// The same of any name, also in `h` and `d`, from `min` to `max`.
std::expected<Duration, Reply> parse_span(std::string_view name, std::string_view text,
                                          Duration min, Duration max);
std::expected<Format, Reply> parse_format(std::string_view text);
// `author` or `reason`: text in UTF-8 without control characters.
std::expected<std::string, Reply> parse_remark(std::string_view name, std::string_view text,
                                               std::size_t bytes_max);

// If-Match (RFC 9110 §13.1.1) against a current revision, whose ETag is its number in quotes.
// The error is 400, or 412 when no listed tag is the current one; a weak tag never is.
// nullopt: no condition, or `*`.
std::expected<std::optional<routing::RevisionNumber>, Reply> check_if_match(
    const Request& request, routing::RevisionNumber current, std::string_view what);

std::string etag(routing::RevisionNumber revision);

}  // namespace sluice::admin
