// Exchange: one request and its response through the proxy, from the request's head to the log
// record. Chooses the server, forwards both ways with back-pressure, retries where nothing can
// have happened twice, and turns whatever goes wrong into one answer or one visible abort.
//
// Made by a ForwardingService for each request, owned by the client connection, on its worker's
// loop. Speaks ClientStream and BackendStream only.
//
// The request's and the response's states are apart:
//
//   request    receiving ──────────────────────────→ complete
//
//   response   waiting ── head sent ──→ streaming ── end sent ──→ done
//                 │                         └─ cut ─────────────→ done   (client sees an abort)
//                 └─ own answer (4xx, 5xx) sent whole ──────────→ done
//
//   (what breaks while nothing of it has left is taken back: waiting again, for an own answer)
//
//   (a tunnel's request is complete with the client's half; its response with the server's, which
//   ends the exchange)
//
//   attempt    none ──→ connecting ──→ forwarding ──→ none
//               ↑            └─ failed ─────┴─ failed ─┐
//               └────────── another server ────────────┘
//   (none, and waiting(): until the server's connections have room; then chooses anew if the
//   revision in force is another, or the server is out)
//
// exchange.cc has its life and its own answers, exchange_attempt.cc the choice of servers and what
// follows a failure, exchange_forward.cc the bytes both ways, exchange_time.cc every deadline.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/data/access_log.h"
#include "proxy/data/adopted_snapshot.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/rate_guard.h"
#include "proxy/data/request_wish.h"
#include "proxy/data/stream.h"
#include "proxy/io/timer_wheel.h"
#include "routing/picker.h"

namespace sluice::proxy {

class Worker;

class Exchange final : public RequestHandler, private ResponseHandler, private Waiter {
 public:
  // How many servers one request may be offered to.
  static constexpr std::size_t kAttemptsMax = 3;
  // How often it may be turned away besides, by servers that take no more streams or are leaving.
  static constexpr std::size_t kTurnedAwayMax = 8;
  // Of a backend's servers, how many are looked at for one with room.
  static constexpr std::size_t kFullServersMax = 8;
  // Interim (1xx) responses that one exchange passes on.
  static constexpr unsigned kInterimMax = 16;

  // `head` and `stream` outlive the exchange or its end, whichever comes first.
  Exchange(Worker& worker, http::RequestHead& head, bool complete, ClientStream& stream);
  ~Exchange() override;

  void start();

  // RequestHandler
  void on_request_body(Bytes bytes) override;
  void on_request_end(const http::Fields& trailers) override;
  void on_request_failure(int status, std::string_view reason) override;
  void on_client_gone() override;
  void on_client_writable() override;

 private:
  enum class RequestState : std::uint8_t { receiving, complete };
  enum class ResponseState : std::uint8_t { waiting, streaming, done };
  enum class AttemptState : std::uint8_t { none, connecting, forwarding };

  // ResponseHandler
  void on_backend_connected() override;
  void on_interim_response(http::ResponseHead& head) override;
  void on_response_head(http::ResponseHead& head) override;
  void on_response_body(Bytes bytes) override;
  void on_response_end(const http::Fields& trailers) override;
  void on_backend_failure(const BackendFailure& failure) override;
  void on_backend_writable() override;
  // Waiter
  void on_turn() override;
  void on_timer();

  // Every decision that depends on how the states stand to each other.
  void advance();

  bool route_request();  // false: answered
  std::optional<std::size_t> match_in(const AdoptedSnapshot& snapshot) const;
  bool tunnel_allowed();  // false: answered
  bool allows_tunnel(const conf::Route& route) const;
  // False: nobody to offer it to (again), and refusal_ says why; the choice stays as it was.
  // `busy`: those tried were only busy, so another of the same backend.
  bool choose(bool busy = false);
  void answer_refusal();
  void decide_cookie(const RequestWish& asked);
  void answer_health();
  void begin_attempt();
  BackendPool::Lease lease_stream();
  void wait_for_turn();
  void end_attempt(bool failed);
  void give_up(BackendFailure::Kind kind, std::string_view detail);
  bool may_try_another() const;
  void after_failure();
  void hold_body(Bytes bytes);
  void forward_held_body();
  void let_go_of_held_body();
  void answer_or_cut(int status, std::string_view error, std::string_view explanation);
  bool take_back_response();
  void answer(int status, std::string_view error, std::string_view explanation,
              std::optional<std::chrono::seconds> retry_after = {});
  void answer_options();
  void refuse_large_body();
  void drop_attempt();
  void finish(std::string_view outcome);
  // The route's, or the file's while there is none.
  const conf::Timeouts& timeouts() const;
  const conf::Limits& limits() const;
  TimePoint request_too_slow_at() const;
  TimePoint response_too_slow_at() const;
  TimePoint deadline() const;
  void rearm_timer();
  void bring_timer_forward();
  bool output_moves() const;
  void start_request_rate();
  void pause_request();
  void resume_request();
  void cut(std::string_view error);
  const routing::SnapshotServer& server() const;

  Worker& worker_;
  io::Timer timer_;
  http::RequestHead& head_;
  ClientStream& client_;
  AdoptedSnapshotPtr snapshot_;  // of the current attempt
  std::size_t route_ = 0;
  routing::Choice choice_;
  // Why choose() was false.
  struct Refusal {
    int status = 503;
    std::string_view error;
    std::string explanation;
    std::optional<std::chrono::seconds> retry_after = {};
  };
  Refusal refusal_;
  std::optional<routing::StickyKey> cookie_key_;  // to be sent with the response
  BackendStream* backend_ = nullptr;              // leased while attempt_ != none
  std::vector<const routing::ServerRuntime*> tried_;
  // The body so far, for a server that isn't connected yet and for another attempt: whole while
  // body_at_hand_, at most limits.retry_body_bytes of it once it has been forwarded.
  std::string held_body_;
  http::Fields request_trailers_;
  std::string request_id_;
  std::optional<BackendFailure> failure_;  // not yet acted on

  TimePoint began_;
  WallTime began_wall_;
  TimePoint last_activity_;
  TimePoint response_began_ = kNever;
  std::uint64_t request_bytes_ = 0;
  std::uint64_t response_bytes_ = 0;
  int status_ = 0;
  unsigned interim_count_ = 0;
  unsigned turned_away_ = 0;
  RateGuard request_rate_;   // the client's turn while we wait for its body
  RateGuard response_rate_;  // while more waits for it than it should
  RequestState request_state_;
  ResponseState response_state_ = ResponseState::waiting;
  AttemptState attempt_ = AttemptState::none;
  bool request_forwarded_ = false;  // the request's end has gone to the backend stream
  bool chosen_before_ = false;
  bool continue_sent_ = false;  // 100 has been passed on
  bool body_at_hand_ = true;
  bool held_forwarded_ = false;  // held_body_ has gone to this attempt's stream
  bool tunnel_open_ = false;     // bytes go both ways, until either side ends
  bool routed_ = false;
  bool stale_before_ = false;       // a pooled connection was dead: no more of them
  bool request_paused_ = false;     // by us, because the server takes no more
  bool response_paused_ = false;    // by us, because the client takes no more
  std::size_t client_unsent_ = 0;   // when the timer was armed, or the server had to wait
  std::size_t backend_unsent_ = 0;  // likewise, or the client had to wait
  std::string_view error_;          // why the answer is our own, or the response was cut
};

}  // namespace sluice::proxy
