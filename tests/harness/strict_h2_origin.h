// StrictH2Origin: an HTTP/2 origin server on 127.0.0.1, by prior knowledge or over TLS, that holds
// its client to RFC 9113 and misbehaves on request. The brother of StrictOrigin: one epoll thread,
// stopped by the destructor; all functions may be called from any thread. Frames and flow control
// are nghttp2's, which is also the judge of them; fields are judged by h2_rules.h.
//
// What it answers depends on the path (or on the value of a field `x-origin-behaviour`). Each
// answer carries `x-backend: NAME`. N is in bytes, pattern bytes (pattern.h).
//   /echo             the request's body, with its content-type
//   /bytes/N          with content-length;  /chunked/N, /until-close/N: without
//   /truncate/N       promises N, sends half, then RST_STREAM;  /truncate-chunked/N: no promise
//   /cut/N            sends half, then closes the connection
//   /trailers         with the trailer fields x-checksum and x-backend-time
//   /slow?ms=M        waits M milliseconds first
//   /hold             waits for release();  /hold-body/N: sends half the body, then waits
//   /status/S         that status; a short body unless S has none
//   /interim/S        sends a 1xx response S first, with a link field
//   /early            answers 200 before the body came, then reads it
//   /early-close      answers 413 before the body came, and resets the stream with NO_ERROR
//   /stall            opens no window for the body until release(), then answers 200
//   /drop             closes the connection;  /reset, /reset/CODE: RST_STREAM instead of an answer
//   /drop-once, /reset-once, /refused-once: for the first request since start or forget(), then 200
//   /refuse           RST_STREAM with REFUSED_STREAM, always
//   /goaway           answers, and sends GOAWAY with this stream as the last
//   /goaway-once      the first time: GOAWAY with the stream before as the last, and no answer
//   /garbage/KIND     a malformed response: see h2_garbage_kinds()
//   /tunnel           to CONNECT, plain or extended: 200, then every byte back
//   /health           what set_health() said; counted apart from requests
//   anything else     200 and a short body that names the backend
// A request that asks `expect: 100-continue` is answered 100 at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/harness/certificate.h"
#include "tests/harness/deadline.h"
#include "tests/harness/net.h"
#include "tests/harness/strict_origin.h"

namespace sluice::harness {

class StrictH2Origin {
 public:
  struct Options {
    std::string name = "origin";
    std::uint16_t port = 0;
    std::optional<CertificateFiles> tls;
    std::vector<std::string> alpn = {"h2"};
    std::uint32_t streams_max = 100;  // SETTINGS_MAX_CONCURRENT_STREAMS
    std::uint32_t window = 64 * 1024 - 1;
    bool extended_connect = true;
    // Requests beyond this many are counted and checked, but not kept.
    std::size_t record_max = 20'000;
    std::size_t body_keep_max = 256 * 1024;
  };

  struct Counts {
    std::uint64_t connections = 0;
    std::uint64_t streams = 0;      // whose head has come, probes too
    std::uint64_t requests = 0;     // whole ones; probes and those turned away are not among them
    std::uint64_t turned_away = 0;  // unprocessed: REFUSED_STREAM, or above a GOAWAY
    std::uint64_t health_probes = 0;
    std::uint64_t incomplete_requests = 0;  // reset or left in the middle
    std::uint64_t resets = 0;               // RST_STREAM received
    std::uint64_t open_connections = 0;
    std::uint64_t open_streams = 0;
    std::uint64_t streams_at_once = 0;  // the most on one connection
    std::uint64_t held = 0;             // answers that wait for release()
    std::uint64_t body_bytes = 0;       // received, of requests' bodies
    std::uint64_t cut_by_stop = 0;      // as StrictOrigin's
  };

  explicit StrictH2Origin(std::string name);
  explicit StrictH2Origin(Options options);
  ~StrictH2Origin();
  StrictH2Origin(const StrictH2Origin&) = delete;
  StrictH2Origin& operator=(const StrictH2Origin&) = delete;

  const std::string& name() const;
  std::uint16_t port() const;   // stays the same over stop() and start()
  std::string address() const;  // `127.0.0.1:PORT`

  void stop();  // as if the server were killed
  void start();
  void set_health(int status);
  void release();
  // GOAWAY on every connection: streams that have come are served, later ones aren't.
  void go_away();

  // `fields` has the pseudo-header fields too.
  std::vector<RecordedRequest> requests() const;
  std::vector<std::string> violations() const;
  Counts counts() const;
  // Forgets requests, violations and counts, but connections and what is open or held.
  void forget();
  bool wait_for_requests(std::uint64_t n, Deadline deadline = Deadline{}) const;
  bool wait_for_held(std::uint64_t n, Deadline deadline = Deadline{}) const;
  bool wait_for_streams(std::uint64_t n, Deadline deadline = Deadline{}) const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace sluice::harness
