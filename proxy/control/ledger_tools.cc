#include "proxy/control/ledger_tools.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::proxy {
namespace {

std::expected<std::string, std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || file.bad()) {
    return std::unexpected(fmt::format("ledger {}: {}", path, std::strerror(errno)));
  }
  return std::move(text).str();
}

LedgerReport report_on(const std::string& path, std::string_view text) {
  LedgerReport report{.path = path, .damage = {}};
  const auto describe = [&report](const routing::LedgerContents& contents) {
    report.revisions = contents.revisions.size();
    if (!contents.revisions.empty()) report.first = contents.revisions.front().number;
    report.last = contents.last();
    report.torn_bytes = contents.torn_bytes;
  };
  const auto contents = routing::read_ledger(text);
  if (contents) {
    describe(*contents);
    return report;
  }
  report.damage =
      fmt::format("damaged at byte {}: {}", contents.error().offset, contents.error().message);
  if (const auto before = routing::read_ledger(text.substr(0, contents.error().offset))) {
    describe(*before);
  }
  return report;
}

}  // namespace

std::expected<LedgerReport, std::string> verify_ledger(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return std::unexpected(text.error());
  return report_on(path, *text);
}

std::vector<std::string> ledger_paths(const LedgerStore::Places& places) {
  const std::string& second =
      places.second_directory.empty() ? places.directory : places.second_directory;
  return {places.directory + "/ledger", second + "/ledger.2"};
}

std::expected<LedgerReport, std::string> import_ledger(const LedgerStore::Places& places,
                                                       const std::string& file, bool force) {
  const auto text = read_file(file);
  if (!text) return std::unexpected(text.error());
  const LedgerReport report = report_on(file, *text);
  if (!report.damage.empty()) {
    return std::unexpected(fmt::format("ledger {}: {}", file, report.damage));
  }
  if (report.torn_bytes > 0 || report.last == 0) {
    return std::unexpected(
        fmt::format("ledger {}: {}", file,
                    report.last == 0 ? "it knows no revision" : "its last record is not whole"));
  }
  if (const auto made = make_directory(places.directory); !made) {
    return std::unexpected(made.error());
  }
  const auto lock = LedgerStore::hold(places.directory);
  if (!lock) return std::unexpected(lock.error());
  for (const std::string& path : ledger_paths(places)) {
    const auto there = verify_ledger(path);
    if (!there) continue;  // there is none
    const bool known = there->last > 0 || !there->damage.empty();
    if (known && !force) {
      return std::unexpected(fmt::format(
          "ledger {}: there is one already, which ends at revision {}: say --force to replace it",
          path, there->last));
    }
    if (!known) continue;
    const auto old = read_file(path);
    if (!old) return std::unexpected(old.error());
    const auto kept =
        write_whole(fmt::format("{}.before-import-{}", path, std::time(nullptr)), *old);
    if (!kept) return std::unexpected(kept.error());
  }
  for (const std::string& path : ledger_paths(places)) {
    const auto made = make_directory(std::filesystem::path(path).parent_path());
    if (!made) return std::unexpected(made.error());
    if (const auto written = write_whole(path, *text); !written) {
      return std::unexpected(written.error());
    }
  }
  return report;
}

}  // namespace sluice::proxy
