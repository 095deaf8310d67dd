#include "proxy/http/h1_fields.h"

#include "proxy/base/check.h"
#include "proxy/http/field_rules.h"
#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

bool is_white_space(char c) {
  return c == ' ' || c == '\t';
}

// Readers differ over whether a tab around a value is white space, and these must be read alike.
bool frames(FieldId id) {
  return id == FieldId::content_length || id == FieldId::transfer_encoding;
}

ParseError bad_value(std::string_view value) {
  if (value.find('\r') != std::string_view::npos) return {400, "bare CR in field value"};
  if (value.find('\0') != std::string_view::npos) return {400, "NUL in field value"};
  return {400, "control byte in field value"};
}

}  // namespace

ParseError append_field_line(std::string_view line, MessageSide side, std::size_t field_count_max,
                             Fields& fields) {
  SLUICE_CHECK(!line.empty());
  if (is_white_space(line.front())) return {400, "line begins with white space (obs-fold)"};
  const std::size_t colon = token_end(line);
  if (colon == line.size()) return {400, "field line without colon"};
  if (line[colon] != ':') {
    return {400,
            is_white_space(line[colon]) ? "white space before colon" : "bad byte in field name"};
  }
  if (colon == 0) return {400, "empty field name"};
  if (colon > Fields::kNameBytesMax) {
    return {431, "field name too long", HeadBound::field_line_bytes};
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view text = line.substr(colon + 1);
  const std::string_view value = trim_white_space(text);
  if (!is_field_value(value)) return bad_value(value);
  if (fields.size() >= field_count_max) {
    return {431, "too many fields", HeadBound::field_count};
  }
  const FieldId id = field_id(name);
  if (frames(id) && text.find('\t') != std::string_view::npos) {
    return {400, "tab in a framing field"};
  }
  if (side == MessageSide::request && is_disguised(name)) {
    return {400, "field name disguises another"};
  }
  fields.append(name, value, id);
  return {};
}

ParseError field_section_error(H1LineReader::Status status) {
  switch (status) {
    case H1LineReader::Status::bare_lf:
      return {400, "bare LF in fields"};
    case H1LineReader::Status::line_too_long:
      return {431, "field line too long", HeadBound::field_line_bytes};
    case H1LineReader::Status::section_too_long:
      return {431, "fields too long in all", HeadBound::head_bytes};
    case H1LineReader::Status::line:
    case H1LineReader::Status::need_more:
      break;
  }
  SLUICE_CHECK(!"a line or the lack of one is no error");
  return {};
}

ParseError for_side(MessageSide side, ParseError error) {
  if (error && side == MessageSide::response) error.status = 502;
  return error;
}

}  // namespace sluice::http
