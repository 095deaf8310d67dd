#include "conf/schema_part.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::conf {

SchemaPart::SchemaPart() : SchemaPart(Json::object()) {
}
SchemaPart::SchemaPart(Json json) : json_(std::make_unique<Json>(std::move(json))) {
}
SchemaPart::SchemaPart(const SchemaPart& other) : SchemaPart(*other.json_) {
}
SchemaPart::SchemaPart(SchemaPart&& other) noexcept = default;
SchemaPart::~SchemaPart() = default;

SchemaPart& SchemaPart::operator=(SchemaPart other) noexcept {
  json_ = std::move(other.json_);
  return *this;
}

SchemaPart described(const std::string& meaning, const SchemaPart& part) {
  Json json{{"description", meaning}};
  json.update(part.json());
  return json;
}

}  // namespace sluice::conf
