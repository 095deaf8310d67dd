// SchemaPart: the JSON Schema of one value or table. A value that hides the JSON it is made of, so
// that describing a table costs nobody the JSON library; who makes or reads one includes it.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace sluice::conf {

using Json = nlohmann::ordered_json;

class SchemaPart {
 public:
  SchemaPart();           // of anything
  SchemaPart(Json json);  // NOLINT(google-explicit-constructor): it is one
  SchemaPart(const SchemaPart& other);
  SchemaPart(SchemaPart&& other) noexcept;
  SchemaPart& operator=(SchemaPart other) noexcept;
  ~SchemaPart();

  Json& json() { return *json_; }
  const Json& json() const { return *json_; }

 private:
  std::unique_ptr<Json> json_;  // never null, but in what was moved from
};

// The part with its description in front.
SchemaPart described(const std::string& meaning, const SchemaPart& part);

}  // namespace sluice::conf
