#include "proxy/http/h1_body_decoder.h"

#include <algorithm>
#include <limits>

#include "proxy/base/check.h"
#include "proxy/http/field_rules.h"
#include "proxy/http/h1_fields.h"
#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

bool take_token(std::string_view& text) {
  const std::size_t end = token_end(text);
  text.remove_prefix(end);
  return end > 0;
}

// RFC 9110 §5.6.4, its opening quote taken already.
bool take_quoted_rest(std::string_view& text) {
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return true;
    if (c != '\\') continue;
    if (text.empty()) return false;
    text.remove_prefix(1);
  }
  return false;
}

// *( ";" name [ "=" ( token / quoted-string ) ] ) (RFC 9112 §7.1.1, without the white space that it
// tolerates: readers differ over where a size ends that has some behind it). Meanings are nobody's
// business here, but where an extension ends must be beyond doubt.
bool are_chunk_extensions(std::string_view text) {
  if (!is_field_value(text)) return false;
  while (!text.empty()) {
    if (!take(text, ';') || !take_token(text)) return false;
    if (!take(text, '=')) continue;
    if (!(take(text, '"') ? take_quoted_rest(text) : take_token(text))) return false;
  }
  return true;
}

}  // namespace

H1BodyDecoder::H1BodyDecoder(const HeadLimits& limits, MessageSide side)
    : limits_(limits.clamped()), side_(side) {
}

void H1BodyDecoder::begin(BodyLength length) {
  lines_.reset(std::numeric_limits<std::size_t>::max());
  trailers_.clear();
  failure_ = {};
  data_left_ = 0;
  data_bytes_ = 0;
  framing_bytes_ = 0;
  extension_bytes_ = 0;
  switch (length.kind) {
    case BodyLength::Kind::none:
      phase_ = Phase::done;
      return;
    case BodyLength::Kind::known:
      data_left_ = length.bytes;
      phase_ = data_left_ == 0 ? Phase::done : Phase::sized_data;
      return;
    case BodyLength::Kind::chunked:
      phase_ = Phase::chunk_line;
      return;
    case BodyLength::Kind::until_close:
    case BodyLength::Kind::tunnel:
      phase_ = Phase::open_data;
      return;
  }
}

bool H1BodyDecoder::finish() {
  if (phase_ == Phase::open_data) phase_ = Phase::done;
  return phase_ == Phase::done;
}

H1BodyDecoder::Result H1BodyDecoder::consume(Bytes input) {
  Result result;
  while (result.data.empty()) {
    if (phase_ == Phase::done) {
      result.status = Status::done;
      return result;
    }
    if (phase_ == Phase::failed) {
      result.status = Status::error;
      result.error = failure_;
      return result;
    }
    if (result.consumed == input.size()) return result;
    step(input.subspan(result.consumed), result);
  }
  result.status = Status::data;
  return result;
}

// Takes at least one byte of `input`, which is not empty.
void H1BodyDecoder::step(Bytes input, Result& result) {
  switch (phase_) {
    case Phase::sized_data:
    case Phase::open_data:
    case Phase::chunk_data:
      return take_data(input, result);
    case Phase::chunk_cr:
      return take_line_end(input, '\r', Phase::chunk_lf, result);
    case Phase::chunk_lf:
      return take_line_end(input, '\n', Phase::chunk_line, result);
    case Phase::chunk_line:
    case Phase::trailers:
      return take_line(input, result);
    case Phase::done:
    case Phase::failed:
      break;
  }
  SLUICE_CHECK(!"a body that has ended takes no step");
}

void H1BodyDecoder::take_data(Bytes input, Result& result) {
  if (phase_ != Phase::open_data) {
    input =
        input.first(static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), data_left_)));
    data_left_ -= input.size();
    if (data_left_ == 0) phase_ = phase_ == Phase::chunk_data ? Phase::chunk_cr : Phase::done;
  }
  data_bytes_ += input.size();
  result.consumed += input.size();
  result.data = input;
}

void H1BodyDecoder::take_line_end(Bytes input, char expected, Phase next, Result& result) {
  if (as_text(input).front() != expected) return fail({400, "no CRLF after chunk data"});
  ++framing_bytes_;
  ++result.consumed;
  phase_ = next;
}

void H1BodyDecoder::take_line(Bytes input, Result& result) {
  const bool in_trailers = phase_ == Phase::trailers;
  const H1LineReader::Result line =
      lines_.next(input, in_trailers ? limits_.field_line_bytes : kChunkLineBytesMax);
  framing_bytes_ += line.consumed;
  result.consumed += line.consumed;
  switch (line.status) {
    case H1LineReader::Status::need_more:
      return;
    case H1LineReader::Status::line:
      return in_trailers ? on_trailer_line(line.text) : on_chunk_line(line.text);
    case H1LineReader::Status::bare_lf:
      return fail({400, in_trailers ? "bare LF in trailers" : "bare LF after chunk size"});
    case H1LineReader::Status::line_too_long:
    case H1LineReader::Status::section_too_long:
      return fail(in_trailers ? field_section_error(line.status)
                              : ParseError{400, "chunk extensions too long"});
  }
}

void H1BodyDecoder::on_chunk_line(std::string_view line) {
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size() && hex_value(line[digits]) >= 0; ++digits) {
    if (digits == kChunkSizeDigitsMax) return fail({400, "chunk size too long"});
    size = size << 4 | static_cast<std::uint64_t>(hex_value(line[digits]));
  }
  if (digits == 0) return fail({400, "malformed chunk size"});
  if (size > std::numeric_limits<std::int64_t>::max()) return fail({400, "chunk size too large"});

  const std::string_view extensions = line.substr(digits);
  if (!are_chunk_extensions(extensions)) {
    const bool has_extension = extensions.find(';') != std::string_view::npos;
    return fail({400, has_extension ? "malformed chunk extension" : "malformed chunk size"});
  }
  extension_bytes_ += extensions.size();
  if (extension_bytes_ > kChunkExtensionBytesMax) return fail({400, "chunk extensions too long"});

  const bool bounded = side_ == MessageSide::request && size > 0;
  if (bounded && framing_bytes_ > kChunkFramingBytesMax + kChunkFramingPerDataByte * data_bytes_) {
    return fail({400, "chunks too small"});
  }

  data_left_ = size;
  phase_ = size > 0 ? Phase::chunk_data : Phase::trailers;
  if (phase_ == Phase::trailers) lines_.reset(limits_.head_bytes);
}

void H1BodyDecoder::on_trailer_line(std::string_view line) {
  if (line.empty()) {
    phase_ = Phase::done;
    lines_.release();
    return;
  }
  if (const ParseError error = append_field_line(line, side_, limits_.field_count, trailers_)) {
    return fail(error);
  }
  if (!may_be_trailer(trailers_[trailers_.size() - 1])) fail({400, "forbidden trailer field"});
}

void H1BodyDecoder::fail(ParseError error) {
  failure_ = for_side(side_, error);
  phase_ = Phase::failed;
  lines_.release();
}

}  // namespace sluice::http
