#include "conf/admin_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "conf/places.h"

namespace sluice::conf {
namespace {

bool takes_certificates(const Admin& admin) {
  return admin.tls && !admin.tls->client_ca_file.empty() && !admin.certificates.empty();
}

void check_beyond_loopback(Reader& reader, const Entry& document, const Admin& admin) {
  // A table that has errors of its own says nothing of what it was to be.
  const bool has_tls = admin.tls || find(document, {"admin", "tls"}) != nullptr;
  bool any = false;
  for (std::size_t i = 0; i < admin.listen.size(); ++i) {
    if (admin.listen[i].is_loopback()) continue;
    any = true;
    const std::string address = admin.listen[i].to_string();
    const Position at = place_of_item(document, {"admin", "listen"}, i);
    std::vector<std::string_view> missing;
    if (!has_tls) missing.push_back("[admin.tls] with certificate_file and key_file");
    if (admin.tokens_file.empty() && !takes_certificates(admin)) {
      missing.push_back("admin.tokens_file, or admin.tls.client_ca_file with [admin.certificates]");
    }
    if (missing.empty()) continue;
    reader.error(at, fmt::format("admin.listen: {} is beyond this machine, where callers come over "
                                 "TLS and show a token or a certificate; missing: {}",
                                 address, fmt::join(missing, "; ")));
  }
  if (has_tls && !any) {
    reader.error(place_of(document, {"admin", "tls"}),
                 "[admin.tls] is of no use: every address in admin.listen is on this machine, "
                 "where plain HTTP is spoken");
  }
}

void check_certificates(Reader& reader, const Entry& document, const Admin& admin) {
  const bool has_ca = admin.tls && !admin.tls->client_ca_file.empty();
  if (has_ca && admin.certificates.empty() &&
      find(document, {"admin", "certificates"}) == nullptr) {
    reader.error(place_of(document, {"admin", "tls", "client_ca_file"}),
                 "admin.tls.client_ca_file is of no use without [admin.certificates], which says "
                 "what each certificate may do");
  }
  if (!admin.certificates.empty() && !has_ca) {
    reader.error(place_of(document, {"admin", "certificates"}),
                 "[admin.certificates] is of no use without admin.tls.client_ca_file: nobody is "
                 "asked for a certificate");
  }
}

void check_names(Reader& reader, const Entry& document, const Config& config) {
  const auto known = [](const auto& all, const std::string& name) {
    return name == "*" ||
           std::ranges::any_of(all, [&](const auto& one) { return one.name == name; });
  };
  const auto check = [&](std::string_view table, const NamedGrant& named) {
    for (const std::string& route : named.grant.routes) {
      if (known(config.routes, route)) continue;
      reader.error(place_of(document, {"admin", table, named.name}),
                   fmt::format("admin.{}: there is no route \"{}\"", table, route));
    }
    for (const std::string& backend : named.grant.backends) {
      if (known(config.backends, backend)) continue;
      reader.error(place_of(document, {"admin", table, named.name}),
                   fmt::format("admin.{}: there is no backend \"{}\"", table, backend));
    }
  };
  for (const NamedGrant& named : config.admin.users) check("users", named);
  for (const NamedGrant& named : config.admin.certificates) check("certificates", named);
}

}  // namespace

void check_admin(Reader& reader, const Entry& document, const Config& config) {
  check_beyond_loopback(reader, document, config.admin);
  check_certificates(reader, document, config.admin);
  check_names(reader, document, config);
  for (const NamedGrant& user : config.admin.users) {
    const auto twice = [&](std::uint32_t uid) { return fmt::format("{}", uid) == user.name; };
    if (!std::ranges::any_of(config.admin.uids, twice)) continue;
    reader.error(place_of(document, {"admin", "users", user.name}),
                 fmt::format("admin.users: {} is in admin.uids as well, where it may do "
                             "everything; keep one of them",
                             user.name));
  }
}

}  // namespace sluice::conf
