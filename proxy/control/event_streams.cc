#include "proxy/control/event_streams.h"

#include <utility>
#include <vector>

#include "proxy/base/check.h"

namespace sluice::proxy {

class EventStreams::Stream final : public LocalBody {
 public:
  Stream(EventStreams& owner, const admin::Follow& follow)
      : owner_(owner), reader_(owner.log_, follow.start, follow.types), over_(!follow.follow) {
    owner_.streams_.insert(this);
  }
  ~Stream() override {
    owner_.counts_.missed += reader_.missed();
    owner_.streams_.erase(this);
  }

  void begin(Reader& reader) override { client_ = &reader; }
  bool take(std::string& piece, std::size_t bytes_max) override {
    const bool more = reader_.take(piece, bytes_max);
    if (std::exchange(beat_due_, false) && piece.empty()) reader_.beat(piece);
    return more || !over_;
  }
  void on_client_ended() override { over_ = true; }
  void on_stuck() override { ++owner_.counts_.cut; }

  // These may free *this.
  void wake() { client_->on_more(); }
  void beat() {
    beat_due_ = true;
    wake();
  }
  void end() {
    over_ = true;
    wake();
  }

 private:
  EventStreams& owner_;
  admin::EventReader reader_;
  Reader* client_ = nullptr;
  bool over_;  // ends behind what is there
  bool beat_due_ = false;
};

EventStreams::EventStreams(io::Loop& loop, EventBus& bus)
    : loop_(loop), log_(bus.log()), heartbeat_(io::Timer::calling<&EventStreams::beat>(this)) {
  bus.add_listener(*this);
  beat();
}

EventStreams::~EventStreams() {
  SLUICE_CHECK(streams_.empty());  // their calls are gone
}

void EventStreams::open(const admin::Follow& follow, const Answer& answer) {
  SLUICE_CHECK(has_room() || !follow.follow);
  LocalReply head;
  head.content_type = "text/event-stream";
  answer.stream(std::move(head), std::make_unique<Stream>(*this, follow));
}

void EventStreams::on_event(const admin::Event&) {
  const std::vector<Stream*> streams(streams_.begin(), streams_.end());
  for (Stream* stream : streams) stream->wake();
}

void EventStreams::beat() {
  loop_.timers().arm(heartbeat_, loop_.now() + kHeartbeatTime);
  const std::vector<Stream*> streams(streams_.begin(), streams_.end());
  for (Stream* stream : streams) stream->beat();
}

void EventStreams::stop() {
  heartbeat_.cancel();
  const std::vector<Stream*> streams(streams_.begin(), streams_.end());
  for (Stream* stream : streams) stream->end();
}

}  // namespace sluice::proxy
