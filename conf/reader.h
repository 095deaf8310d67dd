// Reader: collects what is wrong with one file while its tree is read. Made by parse() for one
// call, handed by reference to everything that reads a part of the tree.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "conf/document.h"
#include "conf/error.h"

namespace sluice::conf {

inline constexpr std::size_t kHintedErrorsMax = 20;

class Reader {
 public:
  explicit Reader(std::string_view file);

  // `message` begins with the path of the key it is about. Keeps the first kErrorsMax and counts
  // the others.
  void error(Position at, std::string message, std::string hint = {});
  // `PATH must be EXPECTED, not a string`.
  void wrong_type(const Value& value, std::string_view path, std::string_view expected,
                  std::string hint = {});

  // False once so many were reported that no more hints are searched: that takes time.
  bool wants_hint() const;
  // A path of the file system as the file means it: relative ones from the file's own folder.
  std::string resolve(std::string_view path) const;

  bool has_errors() const { return !errors_.empty(); }
  // In order of place. Leaves the reader empty.
  std::vector<ConfigError> take_errors();

 private:
  std::string file_;
  std::string folder_;  // with its slash; empty: the working directory
  std::vector<ConfigError> errors_;
  std::size_t left_out_ = 0;
};

}  // namespace sluice::conf
