// AdminClient: what commands say to the admin API, and what they make of its answers. An answer
// that is not the admin API's (another server's page, a redirect, no JSON) is
// ExitStatus::unreachable whatever its status.
//
// Made by one command for its own time; used by one thread.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/clock.h"
#include "proxy/cli/exit_status.h"
#include "proxy/cli/http_client.h"
#include "proxy/cli/options.h"

namespace sluice::cli {

// A token has at most so many bytes.
inline constexpr std::size_t kTokenBytesMax = 4096;

// A query: names and values, encoded when it is put together. `""` and `?a=b&c=d`.
class Query {
 public:
  Query& add(std::string_view name, std::string_view value);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class AdminClient {
 public:
  // Reads the environment, the configuration file, token and certificates, as the options want it.
  // Nothing is connected yet. Failures: ExitStatus::usage.
  static std::expected<std::unique_ptr<AdminClient>, Failure> make(const ClientOptions& options);

  // `waits`: how long the call may take beyond what an answer usually takes, unless --timeout says
  // otherwise. An answer is a 2xx of the API; anything else is a failure.
  std::expected<Answer, Failure> call(Call call, Duration waits = Duration::zero());
  std::expected<Answer, Failure> get(const std::string& target);
  // The same for an answer that is handed on as it comes; `sink` sees 2xx only. Where `endless` the
  // body has no deadline.
  std::expected<bool, Failure> stream(Call call, bool endless, const HttpClient::Sink& sink);

  const Place& place() const { return client_.place(); }

 private:
  AdminClient(Place place, std::shared_ptr<const tls::ClientContext> tls, std::string token,
              std::optional<Duration> timeout);
  TimePoint deadline(Duration waits) const;

  HttpClient client_;
  std::string token_;                // empty: none is shown
  std::optional<Duration> timeout_;  // --timeout
};

// Where to call, as flags, environment and configuration file have it, in this order.
std::expected<Place, Failure> find_place(const ClientOptions& options);

// The failure that a refusal is; nullopt for a 2xx. `body` is the answer's.
std::optional<Failure> refusal(const Place& place, const http::ResponseHead& head,
                               std::string_view body);

}  // namespace sluice::cli
