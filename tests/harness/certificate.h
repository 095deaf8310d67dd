// P-256 certificates, made when asked for: a self-signed one for `localhost` and 127.0.0.1, an
// authority, and what an authority signs.
#pragma once

#include <string>
#include <vector>

namespace sluice::harness {

struct CertificateFiles {
  std::string certificate_file;
  std::string key_file;  // mode 0600
};

// Writes NAME.pem and NAME.key into `directory`. `names` become the DNS names it is good for.
CertificateFiles make_certificate(const std::string& directory, const std::string& name = "server",
                                  const std::vector<std::string>& names = {"localhost"});

struct SignedCertificate {
  std::string name;                          // of the files, and the common name
  std::string alternatives;                  // `DNS:a,URI:b`; empty: no subjectAltName
  const CertificateFiles* issuer = nullptr;  // null: signs itself
  bool authority = false;
  long seconds_left = 24 * 3600;  // until it ends
  std::string usage;              // `clientAuth`; empty: doesn't say
};
CertificateFiles make_signed_certificate(const std::string& directory,
                                         const SignedCertificate& wanted);

}  // namespace sluice::harness
