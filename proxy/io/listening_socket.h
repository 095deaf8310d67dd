// Opens listening sockets at start-up: blocking calls, every failure a sentence for the operator.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <ctime>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/io/file_descriptor.h"

namespace sluice::io {

struct ListenOptions {
  bool reuse_port = false;  // SO_REUSEPORT: one listening socket per worker; TCP only
  int backlog = 4096;       // the kernel caps it at net.core.somaxconn
  mode_t unix_mode = 0660;  // of a Unix socket's file, in force before the first client connects
};

// One non-blocking, close-on-exec listening socket. An IPv6 address takes IPv6 clients only. A Unix
// socket's file that nobody answers on is replaced; anything else in its place is left alone and
// is an error. Port 0 takes a free one: bound_address() tells which.
std::expected<FileDescriptor, std::string> open_listening_socket(const Address& address,
                                                                 const ListenOptions& options = {});

// `count` (at least 1) of them on the same address, one per worker; with port 0 all take the port
// of the first. TCP: each with SO_REUSEPORT, once it is certain that no other process listens
// there (the kernel would silently share the port between two processes of one user). Unix: one
// socket, duplicated.
std::expected<std::vector<FileDescriptor>, std::string> open_listening_sockets(
    const Address& address, std::size_t count, const ListenOptions& options = {});

// The file of a listening Unix socket. Removes it when it goes, unless another has taken its place
// or somebody changed its owner or mode: then it isn't ours to remove.
class SocketFile {
 public:
  SocketFile() = default;
  // Of a socket that was just opened at `address`; nothing for other families.
  explicit SocketFile(const Address& address);
  SocketFile(SocketFile&& other) noexcept : path_(std::exchange(other.path_, {})) {
    identity_ = other.identity_;
  }
  SocketFile& operator=(SocketFile&& other) noexcept;
  ~SocketFile() { remove(); }

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;     // may be given to the next file at once…
    timespec changed{};  // …which comes later
  };
  static std::optional<Identity> identity_of(const std::string& path);
  void remove();

  std::string path_;  // empty: none
  Identity identity_;
};

// Where a socket is bound, with the port that port 0 became; none if the kernel has no answer.
Address bound_address(int fd);

}  // namespace sluice::io
