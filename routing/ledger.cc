#include "routing/ledger.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "proxy/base/crc32c.h"
#include "routing/record_body.h"
#include "routing/wording.h"

namespace sluice::routing {
namespace {

constexpr std::size_t kCrcDigits = 8;
constexpr std::size_t kLengthDigitsMax = 8;  // of kLedgerRecordBytesMax

std::string hex(std::uint32_t crc) {
  std::array<char, kCrcDigits + 1> text{};
  std::snprintf(text.data(), text.size(), "%08x", crc);
  return {text.data(), kCrcDigits};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20;
}

// One record's outer form, or why there is none.
struct Frame {
  enum class Is : std::uint8_t { whole, torn, damaged };
  Is is = Is::whole;
  std::string message;  // of damage
  std::uint32_t crc = 0;
  std::string_view body;
  std::size_t bytes = 0;  // with its LF
};

Frame torn() {
  return {.is = Frame::Is::torn};
}

Frame damaged(std::string message) {
  return {.is = Frame::Is::damaged, .message = std::move(message)};
}

// How many of the first `count` bytes are what `belongs` wants.
template <typename Predicate>
std::size_t run(std::string_view text, std::size_t count, Predicate belongs) {
  const std::string_view head = text.substr(0, count);
  return static_cast<std::size_t>(std::ranges::find_if_not(head, belongs) - head.begin());
}

// Reads from `text` `length SP body LF`, whose checksum should be `crc`. A record is torn only
// where it could be whole if more bytes followed.
Frame read_rest(std::string_view text, std::uint32_t crc, std::uint32_t chain) {
  const std::size_t digits = run(text, kLengthDigitsMax, is_digit);
  if (text.starts_with('0')) return damaged("its length begins with 0");
  if (digits == text.size()) return torn();
  if (digits == 0 || text[digits] != ' ') {
    return damaged("after its checksum there is no length of 1 to " +
                   std::to_string(kLengthDigitsMax) + " digits and a space");
  }
  std::size_t length = 0;
  for (char c : text.substr(0, digits)) length = length * 10 + static_cast<std::size_t>(c - '0');
  const std::size_t head = digits + 1;
  const std::string_view body = text.substr(head, length);
  if (length > kLedgerRecordBytesMax) {
    return damaged("its length is " + std::to_string(length) + " bytes: at most " +
                   std::to_string(kLedgerRecordBytesMax) + " are written");
  }
  if (body.size() < length) {
    if (std::ranges::none_of(body, is_control)) return torn();
    return damaged("it is shorter than the " + std::to_string(length) +
                   " bytes it states, yet it does not just break off");
  }
  const std::uint32_t actual = crc32c(as_bytes(text.substr(0, head + length)), chain);
  if (actual != crc) {
    return damaged("its checksum is " + hex(crc) + ", but its bytes give " + hex(actual) +
                   ": it was changed, or one before it was lost, repeated or moved");
  }
  if (text.size() == head + length) return torn();
  if (text[head + length] != '\n') return damaged("no line feed follows its body");
  return {.crc = crc, .body = body, .bytes = head + length + 1};
}

Frame read_frame(std::string_view text, std::uint32_t chain) {
  const std::size_t digits = run(text, kCrcDigits, is_hex_digit);
  if (digits == text.size()) return torn();
  if (digits < kCrcDigits || text[kCrcDigits] != ' ') {
    return damaged("it does not begin with a checksum of 8 hex digits and a space");
  }
  std::uint32_t crc = 0;
  for (char c : text.substr(0, kCrcDigits)) {
    crc = crc * 16 + static_cast<std::uint32_t>(is_digit(c) ? c - '0' : c - 'a' + 10);
  }
  Frame frame = read_rest(text.substr(kCrcDigits + 1), crc, chain);
  frame.bytes += kCrcDigits + 1;
  return frame;
}

std::string_view without_zero_bytes_behind(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\0') + 1);
}

std::expected<LedgerContents, LedgerDamage> read_without_header(std::string_view file) {
  if (kLedgerHeader.starts_with(without_zero_bytes_behind(file))) {
    return LedgerContents{.chain = ledger_chain_start(), .torn_bytes = file.size()};
  }
  constexpr std::string_view kAnyVersion = "sluice-ledger ";
  const std::string_view line = kLedgerHeader.substr(0, kLedgerHeader.size() - 1);
  const std::string found = in_quotes(file.substr(0, std::min(file.find('\n'), file.size())));
  const std::string message =
      file.starts_with(kAnyVersion)
          ? "the ledger is of a version that this Sluice does not read: it begins with " + found
          : "the file is no ledger: it begins with " + found;
  return std::unexpected(LedgerDamage{0, message + ", not " + in_quotes(line)});
}

}  // namespace

std::uint32_t ledger_chain_start() {
  return crc32c(as_bytes(kLedgerHeader));
}

namespace {

std::expected<EncodedRecord, std::string> encode(const std::string& body, RevisionNumber number,
                                                 std::uint32_t chain) {
  if (body.size() > kLedgerRecordBytesMax) {
    return std::unexpected("the record of revision " + std::to_string(number) + " would be " +
                           std::to_string(body.size()) + " bytes long: the ledger takes at most " +
                           std::to_string(kLedgerRecordBytesMax));
  }
  const std::string covered = std::to_string(body.size()) + ' ' + body;
  EncodedRecord record;
  record.chain = crc32c(as_bytes(covered), chain);
  record.text = hex(record.chain) + ' ' + covered + '\n';
  return record;
}

}  // namespace

std::expected<EncodedRecord, std::string> encode_record(const Revision& revision,
                                                        std::uint32_t chain) {
  return encode(encode_body(revision), revision.number, chain);
}

std::expected<EncodedRecord, std::string> encode_checkpoint(const StateImage& image,
                                                            std::uint32_t chain) {
  return encode(encode_body(image), image.revision, chain);
}

std::expected<EncodedRecord, std::string> encode_ledger(const StateImage& base,
                                                        const std::vector<Revision>& revisions) {
  EncodedRecord all{std::string(kLedgerHeader), ledger_chain_start()};
  const auto add = [&all](std::expected<EncodedRecord, std::string> record) {
    if (!record) return record;
    all.text += record->text;
    all.chain = record->chain;
    return record;
  };
  if (base.revision != 0) {
    if (auto added = add(encode_checkpoint(base, all.chain)); !added) return added;
  }
  for (const Revision& revision : revisions) {
    if (auto added = add(encode_record(revision, all.chain)); !added) return added;
  }
  return all;
}

std::expected<LedgerContents, LedgerDamage> read_ledger(std::string_view file) {
  if (!file.starts_with(kLedgerHeader)) return read_without_header(file);
  LedgerContents contents;
  contents.chain = ledger_chain_start();
  contents.good_bytes = kLedgerHeader.size();
  RevisionNumber last = 0;
  while (contents.good_bytes < file.size()) {
    const std::string_view rest = file.substr(contents.good_bytes);
    const auto damage = [&](const std::string& what) {
      const std::string after =
          last == 0 ? "the first record" : "the record after revision " + std::to_string(last);
      return std::unexpected(LedgerDamage{contents.good_bytes, after + ": " + what});
    };
    Frame frame = read_frame(rest, contents.chain);
    // What the file system filled up with zero bytes is judged without them.
    if (frame.is == Frame::Is::damaged && rest.ends_with('\0')) {
      frame = read_frame(without_zero_bytes_behind(rest), contents.chain);
    }
    if (frame.is == Frame::Is::damaged) return damage(frame.message);
    if (frame.is == Frame::Is::torn) {
      contents.torn_bytes = rest.size();
      break;
    }
    std::expected<RecordBody, std::string> body = decode_body(frame.body);
    if (!body) return damage(body.error());
    if (auto* checkpoint = std::get_if<StateImage>(&*body)) {
      if (contents.good_bytes != kLedgerHeader.size() || checkpoint->revision == 0) {
        return damage("it is a checkpoint, which only the first record may be");
      }
      last = checkpoint->revision;
      contents.base = std::move(*checkpoint);
      contents.chain = frame.crc;
      contents.good_bytes += frame.bytes;
      continue;
    }
    auto* revision = std::get_if<Revision>(&*body);
    if (revision->parent != last || revision->number <= last) {
      return damage("it is revision " + std::to_string(revision->number) + " with the parent " +
                    std::to_string(revision->parent) + ": its parent must be " +
                    std::to_string(last) + " and its number higher");
    }
    last = revision->number;
    contents.revisions.push_back(std::move(*revision));
    contents.chain = frame.crc;
    contents.good_bytes += frame.bytes;
  }
  return contents;
}

}  // namespace sluice::routing
