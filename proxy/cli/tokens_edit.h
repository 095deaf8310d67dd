// Changes to a tokens file, whole or not at all: the new text is checked as control will read it,
// written beside the old and put in its place. Two at a time wait for each other.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "conf/tokens.h"

namespace sluice::proxy {

// The errors are sentences.
std::expected<std::vector<conf::Token>, std::string> read_tokens(const std::string& path);
// Makes the file, mode 0640 and of its folder's group, where there is none.
std::expected<void, std::string> add_token(const std::string& path, const conf::Token& token);
// `which`: `NAME`, for all of that name, or `NAME.ID`. How many went.
std::expected<std::size_t, std::string> revoke_tokens(const std::string& path,
                                                      std::string_view which);

}  // namespace sluice::proxy
