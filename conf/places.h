// Where things stand in a document, for errors about values that were read already. Private to this
// room.
#pragma once

#include <initializer_list>
#include <string_view>

#include "conf/document.h"

namespace sluice::conf {

using Path = std::initializer_list<std::string_view>;

// The entry at that path, or nullptr.
const Entry* find(const Entry& root, Path path);
// Where the entry stands or, if it is not there, the nearest table around its place.
Position place_of(const Entry& root, Path path);
// The same of a list's item.
Position place_of_item(const Entry& root, Path path, std::size_t item);

}  // namespace sluice::conf
