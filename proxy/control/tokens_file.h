// TokensFile: the tokens that callers of the admin interface may show, from their file, which is
// looked at again every kPollTime so that a token can be made, replaced or revoked without a
// restart or a signal.
//
// Owned by control, on its thread; the file is read on the background thread. A file that has
// become unreadable or wrong leaves the tokens as they were, is logged once for each state that it
// is seen in, and shows in the metrics.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "conf/tokens.h"
#include "proxy/control/background.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

class TokensFile {
 public:
  static constexpr Duration kPollTime = std::chrono::seconds(1);

  // What tells one state of a file from another.
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    std::int64_t bytes = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Contents {
    std::string path;  // empty: there is no such file
    Stamp stamp;
    std::vector<conf::Token> tokens;
  };
  // Any thread; may block. The errors are sentences. An empty path: no tokens.
  static std::expected<Contents, std::vector<std::string>> read(const std::string& path);

  // Both outlive this.
  TokensFile(io::Loop& loop, Background& background);
  ~TokensFile();

  // From now on these, and that path is watched.
  void use(Contents contents);
  void stop();

  // The one whose digest is that of `shown`; nullptr: none. Takes the same time for all that are
  // unknown.
  const conf::Token* find(std::string_view shown) const;

  std::size_t count() const { return contents_.tokens.size(); }
  std::uint64_t reads_taken() const { return reads_taken_; }
  std::uint64_t reads_refused() const { return reads_refused_; }

 private:
  struct Look;
  void poll();
  void on_looked(const Look& look);

  io::Loop& loop_;
  Background& background_;
  io::Timer timer_;
  Contents contents_;
  Stamp seen_;  // that was read last, for better or worse
  std::uint64_t reads_taken_ = 0;
  std::uint64_t reads_refused_ = 0;
  bool looking_ = false;
};

}  // namespace sluice::proxy
