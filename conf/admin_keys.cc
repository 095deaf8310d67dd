#include "conf/admin_keys.h"

#include <string>
#include <utility>

#include "conf/kinds.h"

namespace sluice::conf {
namespace {

Section<AdminTls> admin_tls_section() {
  return Section(AdminTls{})
      .required(
          "certificate_file", file_path(),
          [](AdminTls& tls, std::string path) { tls.certificate_file = std::move(path); },
          "The certificate chain, PEM, the interface's own certificate first")
      .required(
          "key_file", file_path(),
          [](AdminTls& tls, std::string path) { tls.key_file = std::move(path); },
          "The private key of the first certificate, PEM")
      .optional(
          "client_ca_file", file_path(),
          [](AdminTls& tls, std::string path) { tls.client_ca_file = std::move(path); },
          "Certificates, PEM, of those who may have signed clients' own; without it clients are "
          "not asked for one");
}

}  // namespace

Admin default_admin() {
  Admin admin;
  admin.listen.push_back(Address::parse("127.0.0.1:9901").value());
  admin.read_only_listen.push_back(Address::parse("127.0.0.1:9902").value());
  return admin;
}

Section<Admin> admin_section() {
  return Section(default_admin())
      .value("listen", address_list(AddressUse::admin_listener), &Admin::listen,
             "Where the admin interface listens: Unix sockets (`unix:/PATH`), loopback addresses, "
             "and with [admin.tls] any other; an empty list turns it off")
      .value("read_only_listen", address_list(AddressUse::read_only_listener),
             &Admin::read_only_listen,
             "Where metrics and readiness can be read and nothing else be done; an empty list "
             "turns it off")
      .value("hosts", host_name_list(false), &Admin::hosts,
             "Host names under which the admin interface may be called, beside loopback ones and "
             "those of its certificate")
      .value("uids", uid_list(), &Admin::uids,
             "Users who may do everything there, beside root and the one Sluice runs as")
      .optional(
          "users", user_grants(),
          [](Admin& admin, std::vector<NamedGrant> users) { admin.users = std::move(users); },
          "Users of this machine and their roles, by name or number")
      .optional(
          "tokens_file", file_path(),
          [](Admin& admin, std::string path) { admin.tokens_file = std::move(path); },
          "The tokens that callers may show, as `sluice token create` writes them; read again "
          "whenever it changes")
      .optional(
          "certificates", certificate_grants(),
          [](Admin& admin, std::vector<NamedGrant> certificates) {
            admin.certificates = std::move(certificates);
          },
          "Clients' certificates and their roles, by a name in them: subjectAltName or common name")
      .value("container", container(), &Admin::container,
             "Whether other containers may share this loopback, so that a write there needs a "
             "token; \"auto\" finds out")
      .value("unix_socket_mode", file_mode(), &Admin::unix_socket_mode,
             "File mode of the Unix sockets")
      .table(
          "tls", admin_tls_section(),
          [](Admin& admin, const Entry& entry) -> AdminTls& {
            AdminTls& tls = admin.tls.emplace();
            tls.line = entry.at.line;
            return tls;
          },
          "Addresses beyond loopback speak TLS 1.3, and who calls there needs a token or a "
          "certificate");
}

}  // namespace sluice::conf
