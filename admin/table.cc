#include "admin/table.h"

#include <algorithm>

#include "admin/printable.h"
#include "proxy/base/check.h"

namespace sluice::admin {

Table::Table(std::vector<std::string> header) {
  SLUICE_CHECK(!header.empty());
  rows_.push_back(std::move(header));
}

void Table::add(std::vector<std::string> row) {
  SLUICE_CHECK(row.size() == rows_.front().size());
  for (std::string& cell : row) {
    cell = cell.empty() ? "-" : printable(cell);
  }
  rows_.push_back(std::move(row));
}

std::string Table::finish() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - columns(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace sluice::admin
