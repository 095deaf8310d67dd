#include "conf/schema.h"

#include <nlohmann/json.hpp>

#include "conf/keys.h"

namespace sluice::conf {
namespace {

void describe(const std::vector<KeyInfo>& keys, const std::string& parent,
              std::vector<KeyDescription>& described) {
  for (const KeyInfo& key : keys) {
    const std::string path =
        (parent.empty() ? key.name : parent + "." + key.name) + (key.named ? ".*" : "");
    described.push_back({.path = path,
                         .type = key.type,
                         .default_value = key.default_value,
                         .required = key.required,
                         .table = !key.children.empty(),
                         .meaning = key.meaning});
    describe(key.children, path, described);
  }
}

}  // namespace

std::string json_schema() {
  Json schema{{"$schema", "http://json-schema.org/draft-07/schema#"},
              {"title", "Sluice configuration"},
              {"description", "The configuration file of Sluice, as `sluice check` accepts it"}};
  schema.update(object_schema(file_section().infos()).json());
  return schema.dump(2) + "\n";
}

std::vector<KeyDescription> describe_keys() {
  std::vector<KeyDescription> described;
  describe(file_section().infos(), "", described);
  return described;
}

}  // namespace sluice::conf
