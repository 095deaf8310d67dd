// StrictOrigin: an HTTP/1.1 origin server on 127.0.0.1 that reads every byte under RFC 9112, writes
// down each violation and each request, and misbehaves on request. One epoll thread per origin,
// quick enough to stand behind load. Lives as long as the test wants; the destructor stops it.
// All functions may be called from any thread.
//
// What it answers depends on the path (or on the value of a field `X-Origin-Behaviour`, which goes
// first, so that any path can be routed). Each answer carries `X-Backend: NAME`. N is in bytes.
//   /echo             the request's body, with its Content-Type
//   /bytes/N          N pattern bytes (pattern.h), Content-Length
//   /chunked/N        N pattern bytes, chunked
//   /until-close/N    N pattern bytes, ended by closing
//   /http10/N         as HTTP/1.0, ended by closing
//   /truncate/N       promises N, sends half, closes;  /truncate-chunked/N: without the last chunk
//   /trailers         chunked, with the trailer fields X-Checksum and X-Backend-Time
//   /slow?ms=M        waits M milliseconds first
//   /hold             waits for release();  /hold-body/N: sends half the body, then waits
//   /status/S         that status; a short body unless S has none
//   /close            200 with `Connection: close`, and closes
//   /continue         sends 100 once the head is in, then answers as /echo
//   /interim/S        sends a 1xx response S first, with a Link field
//   /early            answers 200 before the body came, then reads it
//   /early-close      answers 413 with `Connection: close` before the body came, and closes
//   /stall            reads nothing of the body until release(), then answers 200
//   /drop             closes without an answer;  /reset: resets the connection instead
//   /drop-once        /drop for the first request since start or forget(), then 200
//   /garbage/KIND     a malformed response: see garbage_kinds()
//   /raw/THEN         the request's body as it is, in place of a response; THEN: keep, close, reset
//   /health           what set_health() said; counted apart from requests
//   anything else     200 and a short body that names the backend
// A request without a behaviour of its own that asks `Expect: 100-continue` is answered 100 at
// once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/harness/certificate.h"
#include "tests/harness/deadline.h"
#include "tests/harness/fields.h"
#include "tests/harness/net.h"

namespace sluice::harness {

// An origin writes down so many; what comes after the first tells little.
inline constexpr std::size_t kViolationsMax = 100;

struct RecordedRequest {
  std::uint64_t connection = 0;  // counted from 1 for each origin
  std::uint64_t index = 0;       // on its connection, from 0
  std::string method;
  std::string target;
  std::string version;
  Fields fields;
  bool chunked = false;
  std::string body;  // cut at body_keep_max
  std::uint64_t body_size = 0;
  std::string body_sha256;       // empty for an empty body
  bool body_is_pattern = false;  // the whole body is the pattern from its start
  Fields trailers;
};

class StrictOrigin {
 public:
  struct Options {
    std::string name = "origin";
    std::uint16_t port = 0;
    // Requests beyond this many are counted and checked, but not kept.
    std::size_t record_max = 20'000;
    std::size_t body_keep_max = 256 * 1024;
    std::optional<CertificateFiles> tls;  // offers `http/1.1`
  };

  struct Counts {
    std::uint64_t connections = 0;
    std::uint64_t requests = 0;  // whole ones; probes are not among them
    std::uint64_t health_probes = 0;
    std::uint64_t incomplete_requests = 0;  // the peer left in the middle
    std::uint64_t pipelined_requests = 0;   // arrived before the answer to the one before was out
    std::uint64_t open_connections = 0;
    std::uint64_t held = 0;  // answers that wait for release()
    // Over all stops: requests that had arrived, even in part, and were not answered in full.
    // Health probes don't count.
    std::uint64_t cut_by_stop = 0;
  };

  explicit StrictOrigin(std::string name);
  explicit StrictOrigin(Options options);
  ~StrictOrigin();
  StrictOrigin(const StrictOrigin&) = delete;
  StrictOrigin& operator=(const StrictOrigin&) = delete;

  const std::string& name() const;
  std::uint16_t port() const;   // stays the same over stop() and start()
  std::string address() const;  // `127.0.0.1:PORT`
  Endpoint endpoint() const;

  // As if the server were killed: the listener and every connection are closed. No-op if stopped.
  void stop();
  void start();
  bool running() const;

  // The status that /health answers from now on; 200 at first.
  void set_health(int status);
  // Lets every held answer go.
  void release();

  std::vector<RecordedRequest> requests() const;
  std::vector<std::string> violations() const;
  Counts counts() const;
  // Forgets requests, violations and counts (but open_connections and held).
  void forget();

  // Each waits until the count has reached `n`; false if the deadline came first.
  bool wait_for_requests(std::uint64_t n, Deadline deadline = Deadline{}) const;
  bool wait_for_held(std::uint64_t n, Deadline deadline = Deadline{}) const;
  bool wait_for_health_probes(std::uint64_t n, Deadline deadline = Deadline{}) const;

  static const std::vector<std::string>& garbage_kinds();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace sluice::harness
