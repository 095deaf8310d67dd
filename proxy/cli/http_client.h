// HttpClient: calls of the admin API, one after the other, over a connection that stays. The codec
// is proxy/http's, like everywhere; what is here is only whose turn it is.
//
// Owned by a command's AdminClient, used by one thread. Nothing an answer says is believed without
// a bound: its size, the time it takes, the interim responses before it. Redirects are answers like
// any other: nobody is followed.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/clock.h"
#include "proxy/cli/connection.h"
#include "proxy/cli/exit_status.h"
#include "proxy/cli/place.h"
#include "proxy/http/message.h"
#include "tls/client_session.h"

namespace sluice::cli {

// An answer that is kept whole may have so many bytes.
inline constexpr std::size_t kAnswerBytesMax = 32 * 1024 * 1024;
inline constexpr int kInterimResponsesMax = 16;

struct Call {
  std::string method = "GET";
  std::string target = "/";
  http::Fields fields = {};
  std::string content_type = {};  // of the body; empty: there is none
  std::string body = {};
};

struct Answer {
  http::ResponseHead head;
  std::string body;
};

class HttpClient {
 public:
  // `tls` is needed where the place says https.
  HttpClient(Place place, std::shared_ptr<const tls::ClientContext> tls);

  const Place& place() const { return place_; }
  std::expected<Answer, Failure> call(const Call& call, TimePoint deadline);

  // Where to put an answer that is not kept: called with the head, then with each piece of the
  // body. False: enough, the connection is given up.
  struct Sink {
    std::function<bool(const http::ResponseHead&)> on_head;
    std::function<bool(std::string_view)> on_body;
  };
  // The head is there by `deadline`, the body by `body_deadline`. True if the body came to its end;
  // false if the sink had enough.
  std::expected<bool, Failure> stream(const Call& call, TimePoint deadline, TimePoint body_deadline,
                                      const Sink& sink);

 private:
  std::expected<void, Failure> connect(TimePoint deadline);
  std::expected<void, Failure> send(const Call& call, TimePoint deadline);
  std::expected<http::ResponseHead, Failure> read_head(http::Method method, TimePoint deadline);
  std::expected<bool, Failure> read_body(const http::ResponseHead& head, TimePoint deadline,
                                         const Sink& sink);
  std::expected<void, Failure> receive(TimePoint deadline);
  std::expected<bool, Failure> exchange(const Call& call, TimePoint deadline,
                                        TimePoint body_deadline, const Sink& sink);
  Failure explained(Failure failure, bool sent) const;

  const Place place_;
  const std::shared_ptr<const tls::ClientContext> tls_;
  std::unique_ptr<Connection> connection_;
  std::string_view received_;  // of the connection's last bytes, what has not been read yet
  bool ended_ = false;         // the peer's side of the connection
  bool answered_ = false;      // a byte of this call's answer has come
};

}  // namespace sluice::cli
