#include "conf/places.h"

namespace sluice::conf {

const Entry* find(const Entry& root, Path path) {
  const Entry* entry = &root;
  for (std::string_view part : path) {
    entry = entry->value.find(part);
    if (entry == nullptr) return nullptr;
  }
  return entry;
}

Position place_of(const Entry& root, Path path) {
  const Entry* entry = &root;
  for (std::string_view part : path) {
    const Entry* next = entry->value.find(part);
    if (next == nullptr) break;
    entry = next;
  }
  return entry->place();
}

Position place_of_item(const Entry& root, Path path, std::size_t item) {
  const Entry* list = find(root, path);
  if (list == nullptr || item >= list->value.items.size()) return place_of(root, path);
  return list->value.items[item].at;
}

}  // namespace sluice::conf
