// A self-signed P-256 certificate for `localhost` and 127.0.0.1, made when asked for.
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

}  // namespace sluice::harness
