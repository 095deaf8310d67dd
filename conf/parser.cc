#include "conf/parser.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include "conf/checks.h"
#include "conf/document.h"
#include "conf/keys.h"
#include "conf/reader.h"

namespace sluice::conf {
namespace {

std::unexpected<std::vector<ConfigError>> whole_file_error(std::string_view file,
                                                           std::string message) {
  return std::unexpected(
      std::vector<ConfigError>{{std::string(file), 0, 0, std::move(message), ""}});
}

std::string system_reason(int error) {
  return std::error_code(error, std::generic_category()).message();
}

}  // namespace

ConfigOrErrors parse(std::string_view text, std::string_view file) {
  if (text.size() > kFileBytesMax) {
    return whole_file_error(file, fmt::format("larger than {} bytes", kFileBytesMax));
  }
  auto document = read_document(text);
  Reader reader(file);
  if (!document) {
    reader.error(document.error().at, document.error().message);
    return std::unexpected(reader.take_errors());
  }
  const Entry root{"", {1, 1}, std::move(*document)};
  Draft draft;
  draft.config.file = file;
  file_section().read(reader, root, "", draft);
  Config config = std::move(draft).finish();
  check_together(reader, root, config);
  if (reader.has_errors()) return std::unexpected(reader.take_errors());
  return config;
}

ConfigOrErrors load(const std::string& path) {
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  const File file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) {
    return whole_file_error(path, fmt::format("can't be opened: {}", system_reason(errno)));
  }
  std::string text;
  char buffer[16 * 1024];
  while (text.size() <= kFileBytesMax) {
    const std::size_t count = std::fread(buffer, 1, sizeof buffer, file.get());
    text.append(buffer, count);
    if (count < sizeof buffer) break;
  }
  if (std::ferror(file.get()) != 0) {
    return whole_file_error(path, fmt::format("can't be read: {}", system_reason(errno)));
  }
  return parse(text, path);
}

}  // namespace sluice::conf
