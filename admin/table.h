// Table: rows of text in aligned columns, for `?format=text`.
#pragma once

#include <string>
#include <vector>

namespace sluice::admin {

class Table {
 public:
  explicit Table(std::vector<std::string> header);
  // As many cells as the header has. What a terminal would obey is shown as `?`; "" as `-`.
  void add(std::vector<std::string> row);
  // Two spaces between columns, one line feed behind each row.
  std::string finish() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sluice::admin
