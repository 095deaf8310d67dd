// What the service manager is told (systemd's sd_notify protocol: one datagram per message to the
// Unix socket that NOTIFY_SOCKET names). Without that variable every call does nothing.
#pragma once

#include <string>
#include <string_view>

namespace sluice::proxy {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET and takes it out of the environment.
  ServiceManager();

  void ready(std::string_view status);
  void reloading();
  void stopping(std::string_view status);

 private:
  void send(std::string_view message) const;

  std::string path_;  // as in sockaddr_un: an abstract name begins with NUL
};

}  // namespace sluice::proxy
