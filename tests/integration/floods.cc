#include "tests/integration/floods.h"

#include <algorithm>

namespace sluice::integration {
namespace {

using harness::Fields;
using harness::H2Client;
namespace h2 = harness::h2;

std::string head(std::uint32_t stream, bool end, const std::string& length = {}) {
  H2Client::Ask ask{.method = end ? "GET" : "POST", .target = "/hold", .fields = {}};
  if (!length.empty()) ask.fields.add("content-length", length);
  return h2::headers(stream, H2Client::request_fields(ask), end);
}

std::function<Batch(std::uint32_t)> again(const std::string& frame) {
  return [frame](std::uint32_t) {
    Batch batch{.bytes = {}, .frames = 100};
    for (int i = 0; i < 100; ++i) batch.bytes += frame;
    return batch;
  };
}

// On a new stream each time: its head, and what makes the server reset it.
std::function<Batch(std::uint32_t)> on_streams(bool end,
                                               std::function<std::string(std::uint32_t)> what,
                                               const std::string& length = {}) {
  return [end, what, length](std::uint32_t round) {
    Batch batch{.bytes = {}, .frames = 100};
    for (std::uint32_t i = 0; i < 50; ++i) {
      const std::uint32_t stream = 2 * (round * 50 + i) + 1;
      batch.bytes += head(stream, end, length) + what(stream);
    }
    return batch;
  };
}

}  // namespace

std::vector<Flood> floods() {
  const std::string begun = h2::frame(h2::kHeaders, h2::kEndStream, 1,
                                      h2::section(H2Client::request_fields({.target = "/"})));
  const std::string open = head(1, false);
  return {
      {"RapidReset", "resets", "",
       on_streams(true, [](auto id) { return h2::reset(id, h2::kCancel); })},
      {"MadeYouResetByEmptyWindowUpdate", "", "",
       on_streams(true, [](auto id) { return h2::window_update(id, 0); })},
      {"MadeYouResetByWindowOverflow", "resets", "",
       on_streams(true, [](auto id) { return h2::window_update(id, 0x7fff'ffff); })},
      {"MadeYouResetByDataBehindTheEnd", "", "",
       on_streams(true, [](auto id) { return h2::data(id, "x"); })},
      {"MadeYouResetByHeadersBehindTheEnd", "", "",
       on_streams(true, [](auto id) { return head(id, true); })},
      {"MadeYouResetByPriorityOfAWrongSize", "", "",
       on_streams(true, [](auto id) { return h2::frame(h2::kPriority, 0, id, "1234"); })},
      {"MadeYouResetByContentLength", "resets", "",
       on_streams(
           false, [](auto id) { return h2::data(id, "longer than it said"); }, "3")},
      {"MalformedHeads", "resets", "",
       [](std::uint32_t round) {
         Batch batch{.bytes = {}, .frames = 100};
         for (std::uint32_t i = 0; i < 100; ++i) {
           batch.bytes +=
               h2::headers(2 * (round * 100 + i) + 1, Fields{.lines = {{"X", "y"}}}, true);
         }
         return batch;
       }},
      {"EmptyContinuation", "continuations", begun, again(h2::frame(h2::kContinuation, 0, 1))},
      {"ContinuationWithData", "continuations", begun,
       again(h2::frame(h2::kContinuation, 0, 1,
                       h2::section(Fields{.lines = {{"x", std::string(20, 'y')}}})))},
      {"Settings", "control_frames", "", again(h2::settings({}))},
      {"SettingsThatChange", "control_frames", "",
       [](std::uint32_t) {
         Batch batch{.bytes = {}, .frames = 100};
         for (std::uint32_t i = 0; i < 100; ++i) {
           batch.bytes += h2::settings(
               {{h2::kHeaderTableSize, i % 2 * 4096}, {h2::kInitialWindowSize, 65'535 + i % 2}});
         }
         return batch;
       }},
      {"Ping", "control_frames", "", again(h2::frame(h2::kPing, 0, 0, "12345678"))},
      {"PingAcknowledgements", "control_frames", "",
       again(h2::frame(h2::kPing, h2::kAck, 0, "12345678"))},
      {"EmptyData", "empty_data", open, again(h2::data(1, ""))},
      {"PaddingOnly", "useless_frames", open,
       again(h2::frame(h2::kData, h2::kPadded, 1, '\x05' + std::string(5, '\0')))},
      {"UnknownFrames", "control_frames", "", again(h2::frame(0x42, 0, 0, "whatever"))},
      {"UnknownFramesOnAStream", "control_frames", open,
       again(h2::frame(0x42, 0, 1, std::string(100, 'x')))},
      {"Priority", "control_frames", "",
       again(h2::frame(h2::kPriority, 0, 1, std::string("\0\0\0\3\x10", 5)))},
      {"WindowUpdates", "window_updates", open, again(h2::window_update(0, 1))},
      {"WindowUpdatesOfAStream", "window_updates", open, again(h2::window_update(1, 1))},
      {"ResetsOfAClosedStream", "", head(1, true) + h2::reset(1, h2::kCancel),
       again(h2::reset(1, h2::kCancel))},
      {"EmptyUnknownSettings", "control_frames", "",
       again(h2::settings({{0x99, 1}, {0x98, 2}, {0x97, 3}}))},
  };
}

Neighbour::Neighbour(const harness::Endpoint& endpoint) {
  auto client = H2Client::connect(endpoint);
  if (client) client_ = std::move(*client);
}

bool Neighbour::ask() {
  const auto before = std::chrono::steady_clock::now();
  const bool good = client_ && client_->get("/").status == 200;
  times_.push_back(std::chrono::steady_clock::now() - before);
  return good;
}

std::chrono::microseconds Neighbour::p99() {
  if (times_.empty()) return std::chrono::microseconds(0);
  std::ranges::sort(times_);
  const auto at = times_[times_.size() * 99 / 100];
  times_.clear();
  return std::chrono::ceil<std::chrono::microseconds>(at);
}

}  // namespace sluice::integration
