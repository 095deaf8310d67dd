// The kinds of value a configuration key can have. Each function gives a Kind: what it is called,
// its schema, how it is read, and how a default is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "conf/section.h"

namespace sluice::conf {

// Plain values: conf/kinds.cc.

inline constexpr Duration kDurationMin = std::chrono::milliseconds(1);
inline constexpr Duration kDurationMax = std::chrono::hours(168);
inline constexpr std::size_t kTextBytesMax = 1024;  // of paths and other free text
inline constexpr std::size_t kListItemsMax = 1024;

// `"500ms"`, `"30s"`, `"1m"`, `"2h"`, from kDurationMin to kDurationMax.
Kind<Duration> duration();
// The same, or `"0s"` for none.
Kind<Duration> duration_or_zero();
// `65536`, `"64KiB"`, `"1MiB"`.
Kind<std::uint64_t> size(std::uint64_t min, std::uint64_t max);
// The same, or 0 for no limit.
Kind<std::uint64_t> size_or_zero(std::uint64_t max);
Kind<std::uint64_t> count(std::uint64_t min, std::uint64_t max);
Kind<int> small_count(int min, int max);
Kind<bool> boolean();
// One of these words.
Kind<std::string> choice(std::vector<std::string> words);
// The same for what the words stand for.
template <typename E>
Kind<E> word_for(std::vector<std::pair<std::string, E>> meanings);
// `"auto"` (nullopt) or a number of workers.
Kind<std::optional<unsigned>> worker_count();
// A path of the file system; relative ones from the configuration file's folder.
Kind<std::string> file_path();
// `"stdout"`, `"stderr"` or a file_path().
Kind<std::string> log_sink();
// `"0660"`.
Kind<unsigned> file_mode();
Kind<std::vector<std::uint32_t>> uid_list();

// Values of the network: conf/network_kinds.cc.

enum class AddressUse : std::uint8_t { data_listener, admin_listener, read_only_listener, server };

Kind<Address> address(AddressUse use);
Kind<std::vector<Address>> address_list(AddressUse use);
// Blocks of IP addresses; `"unix"` for whoever comes over a Unix socket.
Kind<std::vector<AddressBlock>> block_list();
// `["http/1.1", "h2"]`, at least one; and one of them.
Kind<std::vector<HttpVersion>> http_versions();
Kind<HttpVersion> http_version();
// Protocols for the Upgrade field that can be passed through: `["websocket"]`.
Kind<std::vector<std::string>> upgrade_list();
// What a certificate can be for: a DNS name, lower-cased, or an IP address without brackets.
Kind<std::string> certificate_name();
// Host names, lower-cased: exact, and `*.suffix` where wildcards are allowed.
Kind<std::string> host_name(bool wildcards);
Kind<std::vector<std::string>> host_name_list(bool wildcards);
// What a probe sends as its Host: a name or an address, with a port or without.
Kind<std::string> host_field();
// A route's path prefix, in the one form it can have: no query, no trailing slash, no dot segments.
Kind<std::string> path_prefix();
// The name of a field (RFC 9110 §5.1) or a cookie (RFC 6265 §4.1.1): a token.
Kind<std::string> field_name();
Kind<std::string> cookie_name();
// What a probe asks for: a path and perhaps a query.
Kind<std::string> request_target();

// Who may call the admin interface: conf/access_kinds.cc.

inline constexpr std::size_t kGrantsMax = 1024;
inline constexpr std::size_t kGrantNamesMax = 256;  // routes, or backends, of one grant

// `"operator"`, or `{ role = "operator", routes = ["app"], backends = ["blue"] }`.
Kind<Grant> grant();
// `deploy = "operator"`: by the name of a user of this machine, or its number.
Kind<std::vector<NamedGrant>> user_grants();
// `"ci.internal" = "operator"`: by a name that a certificate is for.
Kind<std::vector<NamedGrant>> certificate_grants();
// `"auto"`, true or false.
Kind<Container> container();

// Values made for one key: conf/traffic_kinds.cc.

struct StatusRange {
  int min = 200;
  int max = 299;
};
// `200`, `"200"`, `"200-399"`.
Kind<StatusRange> status_range();
// `["127.0.0.1:9001"]`, `{ web-1 = "127.0.0.1:9001" }` or `{ web-1 = { address = "127.0.0.1:9001",
// weight = 2 } }`; names and addresses are each unique.
Kind<std::vector<Server>> servers();
// `{ blue = 90, green = "10.5" }`, within the bounds of conf/parser.h.
Kind<std::vector<WeightedBackend>> split();

// Values of sticky splits: conf/sticky_kinds.cc.

// `{ blue = "sticky_only" }`.
Kind<std::vector<std::pair<std::string, ShareState>>> share_states();
// `["cookie"]`, `["header:X-User+client", "cookie"]`.
Kind<std::vector<StickyWay>> sticky_by();
Kind<std::string> backend_name();

template <typename E>
Kind<E> word_for(std::vector<std::pair<std::string, E>> meanings) {
  std::vector<std::string> words;
  for (const auto& [word, meaning] : meanings) words.push_back(word);
  Kind<std::string> word = choice(std::move(words));
  Kind<E> kind;
  kind.type = word.type;
  kind.schema = word.schema;
  kind.to_toml = [meanings, to_toml = word.to_toml](const E& value) {
    for (const auto& [name, meaning] : meanings) {
      if (meaning == value) return to_toml(name);
    }
    return std::string();
  };
  kind.read = [meanings, read = word.read](Reader& reader, const Value& value,
                                           const std::string& path) -> std::optional<E> {
    const std::optional<std::string> text = read(reader, value, path);
    for (const auto& [name, meaning] : meanings) {
      if (text == name) return meaning;
    }
    return {};
  };
  return kind;
}

SchemaPart list_schema(const SchemaPart& item);
void report_repeated(Reader& reader, const Value& item, const std::string& path,
                     const std::string& written);

// A list without repeated items (told apart by how their Kind writes them); nullopt if any is
// wrong.
template <typename V>
Kind<std::vector<V>> list_of(std::string type, Kind<V> item) {
  Kind<std::vector<V>> kind;
  kind.schema = list_schema(item.schema);
  kind.to_toml = [to_toml = item.to_toml](const std::vector<V>& values) {
    std::string text;
    for (const V& value : values) text += (text.empty() ? "" : ", ") + to_toml(value);
    return "[" + text + "]";
  };
  kind.read = [item = std::move(item), type](
                  Reader& reader, const Value& value,
                  const std::string& path) -> std::optional<std::vector<V>> {
    if (value.type != Value::Type::array) {
      reader.wrong_type(value, path, "a " + type + ", in brackets");
      return {};
    }
    if (value.items.size() > kListItemsMax) {
      reader.error(value.at, path + " has more than " + std::to_string(kListItemsMax) + " items");
      return {};
    }
    std::vector<V> values;
    std::vector<std::string> written;
    bool sound = true;
    for (const Value& child : value.items) {
      const std::optional<V> read = item.read(reader, child, path);
      if (!read) {
        sound = false;
        continue;
      }
      std::string text = item.to_toml(*read);
      for (const std::string& earlier : written) {
        if (earlier != text) continue;
        report_repeated(reader, child, path, text);
        sound = false;
        break;
      }
      written.push_back(std::move(text));
      values.push_back(*read);
    }
    return sound ? std::optional(std::move(values)) : std::nullopt;
  };
  kind.type = std::move(type);
  return kind;
}

}  // namespace sluice::conf
