// LocalService: answers requests in this process instead of forwarding them: the admin listeners,
// the demo's app servers. The HTTP implementation below it is the one that all connections share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/data/stream.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

struct LocalRequest {
  const http::RequestHead& head;
  const ClientInfo& client;
  std::string body;
};

struct LocalReply {
  int status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;  // its length is sent to HEAD too
};

// An answer's body that comes bit by bit, and may have no end. Made by whoever answers, owned by
// the call that it answers, gone with the client or behind the last piece. It is asked for more as
// the client takes what there was: what waits here for a slow client is bounded.
class LocalBody {
 public:
  // Told that there is more, or that it is the end; never from inside take().
  class Reader {
   public:
    virtual void on_more() = 0;

   protected:
    ~Reader() = default;
  };

  virtual ~LocalBody() = default;
  // Before anything else.
  virtual void begin(Reader& reader) = 0;
  // Appends what there is now, `bytes_max` and one item more at most. False: that was the end.
  virtual bool take(std::string& piece, std::size_t bytes_max) = 0;
  // The client has ended its side, and has perhaps gone: nobody can tell in HTTP/1. Asked for more
  // behind it.
  virtual void on_client_ended() {}
  // The client takes nothing any more, and is cut.
  virtual void on_stuck() {}
};

// The way back to one waiting client. Copyable; the first answer counts, and one that comes after
// the client has gone is dropped.
class Answer {
 public:
  void operator()(LocalReply reply) const;
  // `head`: its body is not looked at. A HEAD gets the head, and the body isn't asked.
  void stream(LocalReply head, std::unique_ptr<LocalBody> body) const;
  // False once an answer would reach nobody.
  bool awaited() const { return *call_ != nullptr; }

 private:
  friend class LocalCall;
  explicit Answer(std::shared_ptr<class LocalCall*> call) : call_(std::move(call)) {}
  std::shared_ptr<class LocalCall*> call_;
};

class LocalService final : public Service {
 public:
  // Called with each whole request; answers now or later, on the same thread.
  using Handler = std::function<void(LocalRequest request, Answer answer)>;
  // A request that won't be served: its body is too large or too slow, or it is no HTTP.
  struct Refusal {
    const http::RequestHead& head;  // as far as it came
    const ClientInfo& client;
    int status;
    std::string_view reason;  // a few words
  };
  // Told of each, and says what its client is answered; without it that is plain text.
  using RefusalHandler = std::function<LocalReply(const Refusal& refusal)>;

  // Asked of each request with a body before that is read: the answer to one that is refused
  // whatever it says. Its connection ends then. Without it, every body is read.
  using Admission = std::function<std::optional<LocalReply>(const http::RequestHead& head,
                                                            const ClientInfo& client)>;

  // A request's body must be whole after this time.
  static constexpr Duration kBodyTime = std::chrono::seconds(10);
  // A client that takes nothing of a streamed answer for so long is cut, when that is next looked
  // at: after twice that at the latest.
  static constexpr Duration kStuckTime = std::chrono::seconds(60);
  // Of a streamed answer, at a time.
  static constexpr std::size_t kPieceBytes = 16 * 1024;

  LocalService(io::Loop& loop, std::size_t body_bytes_max, Handler handler,
               RefusalHandler refusal_handler = {}, Admission admission = {})
      : loop_(loop),
        body_bytes_max_(body_bytes_max),
        handler_(std::move(handler)),
        refusal_handler_(std::move(refusal_handler)),
        admission_(std::move(admission)) {}

 private:
  std::unique_ptr<RequestHandler> on_request(http::RequestHead& head, bool complete,
                                             ClientStream& stream) override;
  // It has been answered already.
  void on_refused(const http::RequestHead& head, const ClientInfo& client, int status,
                  std::string_view reason) override;

  friend class LocalCall;
  io::Loop& loop_;
  std::size_t body_bytes_max_;
  Handler handler_;
  RefusalHandler refusal_handler_;
  Admission admission_;
};

}  // namespace sluice::proxy
