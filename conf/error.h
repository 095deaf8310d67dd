// ConfigError: one thing wrong with a configuration file, said so that its writer can mend it.
// A plain value, made by parse() and load(), printed by whoever called them.
#pragma once

#include <string>

namespace sluice::conf {

struct ConfigError {
  std::string file;
  int line = 0;         // from 1; 0: the file as a whole
  int column = 0;       // from 1, in characters
  std::string message;  // what is wrong and what would be right; printable text on one line
  std::string hint;     // the nearest known word; empty: none is near

  // `FILE:LINE:COLUMN: message (did you mean "hint"?)`, without what is not there.
  std::string to_string() const;
  bool operator==(const ConfigError&) const = default;
};

}  // namespace sluice::conf
