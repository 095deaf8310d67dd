#include "proxy/h2/frame_scanner.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/harness/h2_frames.h"

namespace sluice::h2 {
namespace {

namespace wire = harness::h2;

// Each frame as the scanner tells it: type, flags, stream and payload.
std::vector<std::string> scan(const std::vector<std::string>& pieces) {
  FrameScanner scanner;
  std::vector<std::string> told;
  std::string bytes_again;
  for (const std::string& piece : pieces) {
    Bytes input = as_bytes(piece);
    while (!input.empty()) {
      const FrameScanner::Step step = scanner.next(input);
      EXPECT_GT(step.consumed, 0u);
      input = input.subspan(step.consumed);
      if (step.begins) {
        const FrameHeader& header = scanner.header();
        told.push_back(std::to_string(header.type) + " " + std::to_string(header.flags) + " " +
                       std::to_string(header.stream_id) + " ");
        EXPECT_EQ(step.head.size(), FrameHeader::kBytes);
        bytes_again += as_text(step.head);
      }
      if (!step.payload.empty()) told.back() += as_text(step.payload);
      bytes_again += as_text(step.payload);
      if (step.ends) told.back() += ".";
    }
  }
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  EXPECT_EQ(bytes_again, all.substr(0, bytes_again.size()));
  return told;
}

std::string some_frames() {
  return wire::frame(wire::kHeaders, 5, 1, "head") + wire::frame(wire::kPing, 0, 0, "12345678") +
         wire::frame(0xee, 0xff, 0xffff'ffff, "") + wire::data(3, std::string(300, 'x'), true);
}

TEST(FrameScanner, FindsFramesHoweverTheyAreSplit) {
  const std::string text = some_frames();
  const std::vector<std::string> whole = scan({text});
  EXPECT_EQ(whole,
            (std::vector<std::string>{"1 5 1 head.", "6 0 0 12345678.", "238 255 2147483647 .",
                                      "0 1 3 " + std::string(300, 'x') + "."}));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(scan({text.substr(0, cut), text.substr(cut)}), whole) << cut;
  }
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  EXPECT_EQ(scan(bytes), whole);
}

TEST(FrameScanner, HandsOutHeadAndPayloadInOnePieceWhereTheyCameSo) {
  FrameScanner scanner;
  const std::string text = wire::data(1, "hello");
  const FrameScanner::Step step = scanner.next(as_bytes(text));
  EXPECT_EQ(step.head.data() + step.head.size(), step.payload.data());
  EXPECT_TRUE(step.begins && step.ends);
  EXPECT_EQ(step.consumed, text.size());
}

TEST(FrameScanner, KnowsWhatKindAFrameIs) {
  FrameHeader header;
  const std::pair<int, FrameKind> kinds[] = {
      {0, FrameKind::data},         {1, FrameKind::headers},  {2, FrameKind::priority},
      {3, FrameKind::rst_stream},   {4, FrameKind::settings}, {5, FrameKind::headers},
      {6, FrameKind::ping},         {7, FrameKind::other},    {8, FrameKind::window_update},
      {9, FrameKind::continuation}, {10, FrameKind::other},   {255, FrameKind::other},
  };
  for (const auto& [type, kind] : kinds) {
    header.type = static_cast<std::uint8_t>(type);
    EXPECT_EQ(header.kind(), kind) << type;
  }
  header = {.type = 4, .flags = 1};
  EXPECT_FALSE(header.ends_stream());
  header.type = 0;
  EXPECT_TRUE(header.ends_stream());
  header = {.type = 1, .flags = 0};
  EXPECT_TRUE(header.has_fields() && !header.ends_section());
  header.flags = 4;
  EXPECT_TRUE(header.ends_section());
}

}  // namespace
}  // namespace sluice::h2
