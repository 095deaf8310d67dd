#include "admin/json_tree.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "routing/wording.h"

namespace sluice::admin {
namespace {

constexpr std::size_t kExplanationBytesMax = 200;

class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonTree root;
  std::string error;

  bool null() override { return leaf(JsonTree::Type::null, {}); }
  bool boolean(bool flag) override {
    return leaf(JsonTree::Type::boolean, flag ? "true" : "false");
  }
  bool number_integer(number_integer_t number) override {
    return leaf(JsonTree::Type::number, std::to_string(number));
  }
  bool number_unsigned(number_unsigned_t number) override {
    return leaf(JsonTree::Type::number, std::to_string(number));
  }
  bool number_float(number_float_t, const string_t& digits) override {
    return leaf(JsonTree::Type::number, digits);
  }
  bool string(string_t& text) override { return leaf(JsonTree::Type::text, text); }
  bool binary(binary_t&) override { return fail("it has binary in it"); }
  bool start_object(std::size_t) override { return open(JsonTree::Type::object); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(JsonTree::Type::array); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (path_.back()->find(name) != nullptr) {
      return fail(fmt::format("{} is said twice", routing::in_quotes(name)));
    }
    name_ = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& exception) override {
    return fail(json_error(position, exception.what()));
  }

 private:
  JsonTree* add(JsonTree::Type type) {
    if (++values_ > JsonTree::kValuesMax) {
      fail(fmt::format("it has more than {} values", JsonTree::kValuesMax));
      return nullptr;
    }
    JsonTree* made = &root;
    if (!path_.empty()) {
      const bool named = path_.back()->type == JsonTree::Type::object;
      made = &path_.back()->members.emplace_back(named ? name_ : std::string(), JsonTree{}).tree;
    }
    made->type = type;
    return made;
  }
  bool leaf(JsonTree::Type type, std::string value) {
    JsonTree* made = add(type);
    if (made != nullptr) made->value = std::move(value);
    return made != nullptr;
  }
  // A parent's members grow only while it is the last of the path, so pointers to it stay good.
  bool open(JsonTree::Type type) {
    if (path_.size() == JsonTree::kDepthMax) {
      return fail(fmt::format("it is nested more than {} deep", JsonTree::kDepthMax));
    }
    JsonTree* made = add(type);
    if (made != nullptr) path_.push_back(made);
    return made != nullptr;
  }
  bool close() {
    path_.pop_back();
    return true;
  }
  bool fail(std::string why) {
    error = std::move(why);
    return false;
  }

  std::vector<JsonTree*> path_;
  std::string name_;
  std::size_t values_ = 0;
};

}  // namespace

const JsonTree* JsonTree::find(std::string_view name) const {
  const auto found = std::ranges::find(members, name, &JsonMember::name);
  return found == members.end() ? nullptr : &found->tree;
}

std::expected<JsonTree, std::string> JsonTree::parse(std::string_view text) {
  Builder builder;
  if (!nlohmann::json::sax_parse(text, &builder)) return std::unexpected(builder.error);
  return std::move(builder.root);
}

std::string json_error(std::size_t position, std::string_view what) {
  // Of "[json.exception.parse_error.101] parse error at line 1, ...: why" the rest.
  if (const std::size_t behind = what.find("] "); behind != std::string_view::npos) {
    what.remove_prefix(behind + 2);
  }
  return fmt::format("byte {}: {}", position, what.substr(0, kExplanationBytesMax));
}

std::string_view to_string(JsonTree::Type type) {
  switch (type) {
    case JsonTree::Type::null:
      return "null";
    case JsonTree::Type::boolean:
      return "true or false";
    case JsonTree::Type::number:
      return "a number";
    case JsonTree::Type::text:
      return "text";
    case JsonTree::Type::object:
      return "an object";
    case JsonTree::Type::array:
      return "a list";
  }
  return "nothing";
}

}  // namespace sluice::admin
