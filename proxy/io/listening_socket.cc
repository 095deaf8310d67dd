#include "proxy/io/listening_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "proxy/base/check.h"
#include "proxy/io/sockaddr.h"

namespace sluice::io {
namespace {

std::unexpected<std::string> refusal(const Address& address, const std::string& why) {
  return std::unexpected("can't listen on " + address.to_string() + ": " + why);
}

std::string bind_error(const Address& address, int error) {
  switch (error) {
    case EADDRINUSE:
      return "the address is in use, most likely by another process that listens there (see `ss "
             "-ltnp sport = :" +
             std::to_string(address.port) + "`)";
    case EACCES:
      if (address.family == Address::Family::unix_path) {
        return "permission denied: the directory is not writable for this user";
      }
      return "permission denied: ports below 1024 need root or the capability CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
      return "no interface of this machine has that address";
    case ENOENT:
      return "the directory doesn't exist";
    case EROFS:
      return "the file system is read-only";
    default:
      return std::strerror(error);
  }
}

std::string socket_error(const Address& address, int error) {
  switch (error) {
    case EAFNOSUPPORT:
      return address.family == Address::Family::ipv6 ? "IPv6 is disabled on this machine"
                                                     : std::strerror(error);
    case EMFILE:
      return "this process has reached its limit of open files (ulimit -n)";
    case ENFILE:
      return "the system has reached its limit of open files (fs.file-max)";
    default:
      return std::strerror(error);
  }
}

void set_option(int fd, int level, int option, int value) {
  // Each of these is known to every kernel that we run on; a failure would be a wrong argument.
  SLUICE_CHECK(::setsockopt(fd, level, option, &value, sizeof value) == 0);
}

FileDescriptor open_socket_for(const Address& address) {
  sockaddr_storage storage;
  to_sockaddr(address, storage);
  FileDescriptor fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd && address.family == Address::Family::ipv6) {
    set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  return fd;
}

int bind_to(int fd, const Address& address) {
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(address, storage);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0 ? 0 : errno;
}

// Makes room for a Unix socket at its path, or says why there is none.
std::expected<void, std::string> clear_unix_path(const Address& address) {
  struct stat status {};
  if (::lstat(address.path.c_str(), &status) != 0) return {};  // bind() will tell of other errors
  if (!S_ISSOCK(status.st_mode)) {
    return refusal(address, "a file that is not a socket is in its place; it is left alone");
  }
  const FileDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return refusal(address, socket_error(address, errno));
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(address, storage);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 &&
      errno == ECONNREFUSED) {
    ::unlink(address.path.c_str());
    return {};
  }
  return refusal(address, "another process answers on that socket");
}

// With SO_REUSEPORT the kernel lets a second process of the same user share the port in silence;
// a bind without it tells whether somebody is there.
std::expected<void, std::string> ensure_port_is_free(const Address& address) {
  const FileDescriptor fd = open_socket_for(address);
  if (!fd) return refusal(address, socket_error(address, errno));
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (const int error = bind_to(fd.get(), address)) {
    return refusal(address, bind_error(address, error));
  }
  return {};
}

}  // namespace

std::expected<FileDescriptor, std::string> open_listening_socket(const Address& address,
                                                                 const ListenOptions& options) {
  SLUICE_CHECK(address.family != Address::Family::none);
  const bool is_unix = address.family == Address::Family::unix_path;
  if (is_unix) {
    if (auto cleared = clear_unix_path(address); !cleared) {
      return std::unexpected(std::move(cleared.error()));
    }
  }
  FileDescriptor fd = open_socket_for(address);
  if (!fd) return refusal(address, socket_error(address, errno));
  if (!is_unix) {
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  }
  if (const int error = bind_to(fd.get(), address)) {
    return refusal(address, bind_error(address, error));
  }
  // Nobody can connect before listen(), so the mode is in force for the first client already.
  if (is_unix && ::chmod(address.path.c_str(), options.unix_mode) != 0) {
    return refusal(address, std::string("its mode can't be set: ") + std::strerror(errno));
  }
  if (::listen(fd.get(), options.backlog) != 0) {
    return refusal(address, bind_error(address, errno));
  }
  return fd;
}

std::expected<std::vector<FileDescriptor>, std::string> open_listening_sockets(
    const Address& address, std::size_t count, const ListenOptions& options) {
  SLUICE_CHECK(count >= 1);
  const bool is_unix = address.family == Address::Family::unix_path;
  if (!is_unix && address.port != 0) {
    if (auto is_free = ensure_port_is_free(address); !is_free) {
      return std::unexpected(std::move(is_free.error()));
    }
  }
  ListenOptions each = options;
  each.reuse_port = !is_unix;
  std::vector<FileDescriptor> sockets;
  Address bound = address;
  while (sockets.size() < count) {
    if (is_unix && !sockets.empty()) {
      FileDescriptor copy(::fcntl(sockets.front().get(), F_DUPFD_CLOEXEC, 0));
      if (!copy) return refusal(address, socket_error(address, errno));
      sockets.push_back(std::move(copy));
      continue;
    }
    auto socket = open_listening_socket(bound, each);
    if (!socket) return std::unexpected(std::move(socket.error()));
    if (!is_unix && bound.port == 0) bound.port = bound_address(socket->get()).port;
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

SocketFile::SocketFile(const Address& address) {
  if (address.family != Address::Family::unix_path) return;
  const auto identity = identity_of(address.path);
  if (!identity) return;
  path_ = address.path;
  identity_ = *identity;
}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  if (this == &other) return *this;
  remove();
  path_ = std::exchange(other.path_, {});
  identity_ = other.identity_;
  return *this;
}

std::optional<SocketFile::Identity> SocketFile::identity_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{.device = status.st_dev, .inode = status.st_ino, .changed = status.st_ctim};
}

void SocketFile::remove() {
  if (path_.empty()) return;
  const auto now = identity_of(path_);
  if (now && now->device == identity_.device && now->inode == identity_.inode &&
      now->changed.tv_sec == identity_.changed.tv_sec &&
      now->changed.tv_nsec == identity_.changed.tv_nsec) {
    ::unlink(path_.c_str());
  }
  path_.clear();
}

Address bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return from_sockaddr(storage, length);
}

}  // namespace sluice::io
