// AdminAccess: who is calling the admin listeners, as far as control can find out: what [admin]
// names but the file alone can't tell (users' numbers, tokens, whether this is a container), and
// what the kernel and the connection say of a caller. What that lets them do is decided in admin/.
//
// Owned by control, on its thread.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "admin/api.h"
#include "admin/view.h"
#include "conf/config.h"
#include "proxy/control/tokens_file.h"
#include "proxy/data/local_service.h"

namespace sluice::proxy {

class AdminAccess {
 public:
  // What a configuration's [admin] comes to.
  struct Prepared {
    admin::AccessFacts facts;
    TokensFile::Contents tokens;
  };
  // Any thread; may block (files, the system's user directory). The errors are sentences.
  static std::expected<Prepared, std::vector<std::string>> prepare(const conf::Config& config);

  AdminAccess(io::Loop& loop, Background& background) : tokens_(loop, background) {}

  void commit(Prepared prepared);
  void stop() { tokens_.stop(); }

  const admin::AccessFacts& facts() const { return facts_; }
  const TokensFile& tokens() const { return tokens_; }
  // What `authorization`, the field's value, brings with it.
  admin::Caller::Credentials credentials(std::string_view authorization) const;

 private:
  admin::AccessFacts facts_;
  TokensFile tokens_;
};

}  // namespace sluice::proxy
