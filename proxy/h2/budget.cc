#include "proxy/h2/budget.h"

#include <algorithm>

namespace sluice::h2 {
namespace {

constexpr std::size_t kFrameHeaderBytes = 9;

// What one answered request earns, beside its own frames: generous to whoever makes requests, and
// still a bound on what each of them can hide.
constexpr double kBytesPerRequest = 64 * 1024;
constexpr double kFramesPerRequest = 16;
constexpr double kControlPerRequest = 2;
constexpr double kEmptyDataPerRequest = 2;
constexpr double kWindowUpdatesPerRequest = 16;

// What one DATA frame sent explains: a WINDOW_UPDATE for the stream and one for the connection,
// twice over for those who read in pieces, and one for every KiB; a PING that measures it.
constexpr double kWindowUpdatesPerData = 4;
constexpr std::size_t kBytesPerWindowUpdate = 1024;
constexpr double kBytesPerAnsweringFrame = 32;

}  // namespace

std::string_view describe(Exhausted exhausted) {
  switch (exhausted) {
    case Exhausted::none:
      return {};
    case Exhausted::resets:
      return "too many streams reset";
    case Exhausted::empty_data:
      return "too many empty DATA frames";
    case Exhausted::control_frames:
      return "too many control frames";
    case Exhausted::window_updates:
      return "too many WINDOW_UPDATE frames";
    case Exhausted::continuations:
      return "too many CONTINUATION frames";
    case Exhausted::useless_bytes:
      return "too many bytes to no use";
    case Exhausted::useless_frames:
      return "too many frames to no use";
  }
  return {};
}

void Budget::forgive(Account& account, std::uint32_t per_second, TimePoint now) {
  if (account.spent > 0 && now > account.since) {
    const std::chrono::duration<double> passed = now - account.since;
    earn(account, passed.count() * per_second);
  }
  account.since = now;
}

void Budget::earn(Account& account, double amount) {
  account.spent = std::max(0.0, account.spent - amount);
}

Exhausted Budget::spend(Account& account, double amount, std::uint64_t limit, Exhausted what) {
  account.spent += amount;
  if (account.spent > static_cast<double>(limit) && exhausted_ == Exhausted::none) {
    exhausted_ = what;
  }
  return exhausted_;
}

Exhausted Budget::on_frame(FrameKind kind, std::size_t bytes, bool end_stream, TimePoint now) {
  switch (kind) {
    case FrameKind::data:
      if (bytes <= kFrameHeaderBytes && !end_stream) {
        spend(empty_data_, 1, limits_.empty_data, Exhausted::empty_data);
      }
      break;
    case FrameKind::headers:
      continuations_ = 0;
      break;
    case FrameKind::continuation:
      if (++continuations_ > limits_.continuations && exhausted_ == Exhausted::none) {
        exhausted_ = Exhausted::continuations;
      }
      break;
    case FrameKind::window_update:
      spend(window_updates_, 1, limits_.window_updates, Exhausted::window_updates);
      break;
    case FrameKind::priority:
    case FrameKind::settings:
    case FrameKind::ping:
    case FrameKind::other:
      forgive(control_, limits_.control_per_second, now);
      spend(control_, 1, limits_.control_frames, Exhausted::control_frames);
      break;
    case FrameKind::rst_stream:
      break;
  }
  forgive(useless_frames_, limits_.useless_frames_per_second, now);
  forgive(useless_bytes_, limits_.useless_bytes_per_second, now);
  spend(useless_frames_, 1, limits_.useless_frames, Exhausted::useless_frames);
  return spend(useless_bytes_, static_cast<double>(bytes), limits_.useless_bytes,
               Exhausted::useless_bytes);
}

Exhausted Budget::on_reset(std::size_t head_bytes, TimePoint now) {
  forgive(resets_, limits_.resets_per_second, now);
  spend(useless_bytes_, static_cast<double>(head_bytes), limits_.useless_bytes,
        Exhausted::useless_bytes);
  return spend(resets_, 1, limits_.resets, Exhausted::resets);
}

Exhausted Budget::on_fields_dropped(std::size_t bytes) {
  return spend(useless_bytes_, static_cast<double>(bytes), limits_.useless_bytes,
               Exhausted::useless_bytes);
}

void Budget::on_head_taken(std::size_t frames, std::size_t bytes) {
  earn(useless_frames_, static_cast<double>(frames));
  earn(useless_bytes_, static_cast<double>(bytes));
}

void Budget::on_request_answered() {
  earn(resets_, 1);
  earn(control_, kControlPerRequest);
  earn(empty_data_, kEmptyDataPerRequest);
  bank_window_updates(kWindowUpdatesPerRequest);
  earn(useless_frames_, kFramesPerRequest);
  earn(useless_bytes_, kBytesPerRequest);
}

void Budget::on_data_taken(std::size_t bytes) {
  earn(empty_data_, 1);
  earn(useless_frames_, 1);
  earn(useless_bytes_, static_cast<double>(bytes + kFrameHeaderBytes));
}

void Budget::on_data_sent(std::size_t bytes) {
  const double updates = kWindowUpdatesPerData + static_cast<double>(bytes / kBytesPerWindowUpdate);
  earn(control_, 1);
  bank_window_updates(updates);
  earn(useless_frames_, updates + 1);
  earn(useless_bytes_, (updates + 1) * kBytesPerAnsweringFrame);
}

// They come after the data that they are for, and often many at once: so much is to the good.
void Budget::bank_window_updates(double updates) {
  window_updates_.spent =
      std::max(-static_cast<double>(limits_.window_updates), window_updates_.spent - updates);
}

}  // namespace sluice::h2
