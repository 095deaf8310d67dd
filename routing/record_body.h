// The body of a ledger record: a Revision or a checkpoint as a JSON object, and back. Used by
// ledger.cc, and for export; docs/decisions/0003-ledger-format.md lists the keys.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <variant>

#include "routing/revision.h"
#include "routing/state.h"

namespace sluice::routing {

// On one line. Text that is not UTF-8 gets U+FFFD in place of what is wrong.
std::string encode_body(const Revision& revision);
std::string encode_body(const StateImage& checkpoint);

// Every field must be there, of its type and in its range, and no other. The error says which is
// not and what would be right. Numbers are not compared with other records' here.
using RecordBody = std::variant<Revision, StateImage>;
std::expected<RecordBody, std::string> decode_body(std::string_view body);

}  // namespace sluice::routing
