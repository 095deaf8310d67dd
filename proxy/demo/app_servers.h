// The demo's app servers: two small HTTP servers, `blue` and `green`, on a thread of their own, on
// the same loop and HTTP code as the proxy. Each answers with JSON that names its backend and shows
// the request as it came; `/health` answers 200 until it is told to fail.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "proxy/base/address.h"

namespace sluice::proxy {

class AppServers {
 public:
  // Listening on free ports of 127.0.0.1 when it returns. The error is a sentence.
  static std::expected<std::unique_ptr<AppServers>, std::string> start();
  ~AppServers();
  AppServers(const AppServers&) = delete;
  AppServers& operator=(const AppServers&) = delete;

  const Address& blue() const;
  const Address& green() const;

 private:
  struct State;
  explicit AppServers(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::proxy
