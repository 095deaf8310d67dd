#include "conf/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "conf/parser.h"
#include "conf/words.h"

namespace sluice::conf {

Reader::Reader(std::string_view file) : file_(file), folder_(file.substr(0, file.rfind('/') + 1)) {
}  // npos + 1 is 0: no folder

void Reader::error(Position at, std::string message, std::string hint) {
  if (errors_.size() >= kErrorsMax) {
    ++left_out_;
    return;
  }
  // Hints are made of the file's own text at times.
  if (in_quotes(hint) != fmt::format("\"{}\"", hint)) hint.clear();
  errors_.push_back({file_, at.line, at.column, std::move(message), std::move(hint)});
}

void Reader::wrong_type(const Value& value, std::string_view path, std::string_view expected,
                        std::string hint) {
  error(value.at, fmt::format("{} must be {}, not {}", path, expected, type_name(value.type)),
        std::move(hint));
}

bool Reader::wants_hint() const {
  return errors_.size() < kHintedErrorsMax;
}

std::string Reader::resolve(std::string_view path) const {
  return path.starts_with('/') ? std::string(path) : folder_ + std::string(path);
}

std::vector<ConfigError> Reader::take_errors() {
  std::ranges::sort(errors_, {}, [](const ConfigError& error) {
    return std::tie(error.line, error.column, error.message);
  });
  if (left_out_ > 0) {
    errors_.push_back({file_, 0, 0, fmt::format("and {} more errors", left_out_), ""});
  }
  return std::exchange(errors_, {});
}

}  // namespace sluice::conf
