#include "proxy/http/h1_line_reader.h"

#include <algorithm>
#include <cstring>

#include "proxy/base/check.h"

namespace sluice::http {

void H1LineReader::reset(std::size_t section_bytes_max) {
  release();
  section_bytes_ = 0;
  section_bytes_max_ = section_bytes_max;
}

void H1LineReader::release() {
  // clear() would keep the memory, and an idle connection is to hold none.
  if (std::string none; partial_.capacity() > none.capacity()) partial_.swap(none);
  partial_.clear();
  partial_given_ = false;
}

H1LineReader::Result H1LineReader::next(Bytes input, std::size_t line_bytes_max) {
  if (partial_given_) {
    partial_.clear();
    partial_given_ = false;
  }
  const std::size_t section_left = section_bytes_max_ - section_bytes_;
  const bool line_is_tighter = line_bytes_max < section_left && line_bytes_max + 2 <= section_left;
  const Status too_long = line_is_tighter ? Status::line_too_long : Status::section_too_long;
  // The last place, counted from the line's beginning, where its LF may stand.
  if (!line_is_tighter && section_left == 0) return {too_long};
  const std::size_t lf_at_max = line_is_tighter ? line_bytes_max + 1 : section_left - 1;
  SLUICE_CHECK(partial_.size() <= lf_at_max);

  const std::size_t search_max = lf_at_max - partial_.size() + 1;
  const std::string_view text = as_text(input);
  const std::size_t lf = text.substr(0, search_max).find('\n');
  if (lf == std::string_view::npos) {
    if (text.size() >= search_max) return {too_long};
    partial_.append(text);
    return {Status::need_more, {}, text.size()};
  }

  std::string_view line = text.substr(0, lf);
  if (!partial_.empty()) {
    partial_.append(line);
    partial_given_ = true;
    line = partial_;
  }
  section_bytes_ += line.size() + 1;
  if (!line.ends_with('\r')) return {Status::bare_lf, {}, lf + 1};
  line.remove_suffix(1);
  return {Status::line, line, lf + 1};
}

}  // namespace sluice::http
