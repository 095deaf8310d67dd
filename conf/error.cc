#include "conf/error.h"

#include <fmt/format.h>

namespace sluice::conf {

std::string ConfigError::to_string() const {
  std::string text = file;
  if (line > 0) text += fmt::format(":{}", line);
  if (line > 0 && column > 0) text += fmt::format(":{}", column);
  text += fmt::format(": {}", message);
  if (!hint.empty()) text += fmt::format(" (did you mean \"{}\"?)", hint);
  return text;
}

}  // namespace sluice::conf
