// What commands print. The API's JSON as text for people, every name in it made safe for a
// terminal; and the end of a command: output and exit status. describe_…() are pure.
#pragma once

#include <expected>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "proxy/cli/admin_client.h"
#include "proxy/cli/exit_status.h"
#include "proxy/cli/options.h"

namespace sluice::cli {

// In the order that the API has it.
using Json = nlohmann::ordered_json;

// Any object: a line for each simple member, a table for each list of objects.
std::string describe(const Json& object);
// One value in one cell: `blue=90 green=10`, `0, 1`.
std::string cell_text(const Json& value);
// What a change came to: `app: blue=90 green=10, revision 42, was blue=100 green=0`. Anything else
// in the answer that a user must know (a lease, a dry run's effect) behind it.
std::string describe_change(const Json& answer);

using Describe = std::function<std::string(const Json&)>;

// `sluice: TEXT` on the standard error; with --json the API's own words on the standard output. The
// exit status.
int fail(const ClientOptions& options, const Failure& failure);
int fail_usage(const std::string& text);

// The API's answer, as it is or as `describe` has it; warnings in it go to the standard error.
int report(const ClientOptions& options, const std::expected<Answer, Failure>& answer,
           const Describe& describe);
// GET, as JSON as it is or as the API's own table.
int show(const ClientOptions& options, const std::string& path, Query query = {});

}  // namespace sluice::cli
