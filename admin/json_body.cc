// parse_json_body(): over nlohmann's event interface, which hands out a fraction's digits as they
// were written and every member's name, repeated or not.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "admin/form.h"
#include "admin/json_tree.h"
#include "admin/problem.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

constexpr std::string_view kShape =
    "write an object like {\"weights\": {\"blue\": 90, \"green\": 10}} or {\"to\": \"green\"}";

class BodyReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonBody body;
  std::string error;

  bool null() override { return wrong_value("null"); }
  bool boolean(bool) override { return wrong_value("true or false"); }
  bool binary(binary_t&) override { return wrong_value("binary"); }
  bool number_integer(number_integer_t value) override { return number(std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& digits) override { return number(digits); }

  bool string(string_t& text) override {
    if (depth_ != 1 || name_ == "weights") return wrong_value("text");
    return add(body.texts, text);
  }

  bool start_object(std::size_t) override {
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    if (depth_ == 2 || name_ != "weights") return wrong_value("an object");
    if (body.has_weights_member) return fail("\"weights\" is said twice");
    body.has_weights_member = true;
    depth_ = 2;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override { return wrong_value("a list"); }
  bool end_array() override { return true; }
  bool key(string_t& name) override {
    name_ = name;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& exception) override {
    return fail(json_error(position, exception.what()));
  }

  // A plain number beside "weights" would be lost on whoever reads only one of the two.
  bool has_stray_number() const { return body.has_weights_member && plain_numbers_ > 0; }

 private:
  bool number(std::string digits) {
    if (depth_ == 0) return wrong_value("a number");
    if (depth_ == 1 && name_ == "weights") return wrong_value("a number");
    if (depth_ == 1) ++plain_numbers_;
    return add(body.numbers, std::move(digits));
  }
  bool add(FieldList& list, std::string value) {
    if (body.texts.size() + body.numbers.size() == kFormFieldsMax)
      return fail(fmt::format("more than {} members", kFormFieldsMax));
    list.emplace_back(name_, std::move(value));
    return true;
  }
  bool wrong_value(std::string_view found) {
    if (depth_ == 0) return fail(fmt::format("it is {}; {}", found, kShape));
    return fail(fmt::format("{} is {}; {}", routing::in_quotes(name_), found, kShape));
  }
  bool fail(std::string why) {
    error = std::move(why);
    return false;
  }

  int depth_ = 0;
  int plain_numbers_ = 0;
  std::string name_;
};

}  // namespace

std::expected<JsonBody, Reply> parse_json_body(std::string_view text) {
  BodyReader reader;
  if (!nlohmann::json::sax_parse(text, &reader)) {
    return std::unexpected(
        problem(400, "bad_json",
                fmt::format("The body is not the JSON that this call takes: {}.", reader.error)));
  }
  if (reader.has_stray_number()) {
    return std::unexpected(problem(400, "bad_json",
                                   "The body states weights both inside and beside \"weights\": "
                                   "say them in one place."));
  }
  return std::move(reader.body);
}

}  // namespace sluice::admin
