// What a configuration file may say, for editors, docs and tests. Made from the descriptions of
// keys that parse() works by, so that they can't differ.
#pragma once

#include <string>
#include <vector>

namespace sluice::conf {

// A JSON Schema (draft 7) of the file, indented, with a newline at its end:
// docs/config.schema.json.
std::string json_schema();

struct KeyDescription {
  std::string path;           // `listeners.*.address`; `*` stands for a name of the user's choice
  std::string type;           // in words: `duration`, `size`, `list of addresses`
  std::string default_value;  // as TOML; empty: none, or required
  bool required = false;
  bool table = false;  // holds keys of its own
  std::string meaning;
};

// Every key, in the order of the docs; a table before its keys.
std::vector<KeyDescription> describe_keys();

}  // namespace sluice::conf
