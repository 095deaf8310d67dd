#include "proxy/control/caller.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstring>
#include <utility>

#include "proxy/io/file_descriptor.h"
#include "proxy/io/sockaddr.h"

namespace sluice::proxy {
namespace {

// The answer comes from the kernel at once; this only keeps a bug there from stopping control.
constexpr timeval kDiagnosisTimeout{.tv_sec = 0, .tv_usec = 200'000};

std::optional<std::uint32_t> unix_peer_uid(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return {};
  return credentials.uid;
}

struct DiagnosisRequest {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

// The peer's socket has our ends swapped: its source is our peer, its destination is us.
DiagnosisRequest make_request(const sockaddr_storage& peer, const sockaddr_storage& local) {
  DiagnosisRequest request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  inet_diag_req_v2& body = request.body;
  body.sdiag_family = static_cast<__u8>(peer.ss_family);
  body.sdiag_protocol = IPPROTO_TCP;
  body.idiag_states = ~0U;
  body.id.idiag_cookie[0] = body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (peer.ss_family == AF_INET) {
    const auto& from = reinterpret_cast<const sockaddr_in&>(peer);
    const auto& to = reinterpret_cast<const sockaddr_in&>(local);
    body.id.idiag_sport = from.sin_port;
    body.id.idiag_dport = to.sin_port;
    std::memcpy(body.id.idiag_src, &from.sin_addr, 4);
    std::memcpy(body.id.idiag_dst, &to.sin_addr, 4);
  } else {
    const auto& from = reinterpret_cast<const sockaddr_in6&>(peer);
    const auto& to = reinterpret_cast<const sockaddr_in6&>(local);
    body.id.idiag_sport = from.sin6_port;
    body.id.idiag_dport = to.sin6_port;
    std::memcpy(body.id.idiag_src, &from.sin6_addr, 16);
    std::memcpy(body.id.idiag_dst, &to.sin6_addr, 16);
  }
  return request;
}

std::optional<std::uint32_t> tcp_peer_uid(int fd) {
  sockaddr_storage peer{};
  sockaddr_storage local{};
  socklen_t peer_length = sizeof peer;
  socklen_t local_length = sizeof local;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_length) != 0) {
    return {};
  }
  const io::FileDescriptor diagnosis(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!diagnosis) return {};
  ::setsockopt(diagnosis.get(), SOL_SOCKET, SO_RCVTIMEO, &kDiagnosisTimeout,
               sizeof kDiagnosisTimeout);
  const DiagnosisRequest request = make_request(peer, local);
  if (::send(diagnosis.get(), &request, sizeof request, 0) != sizeof request) return {};
  alignas(nlmsghdr) std::array<char, 4096> answer{};
  const ssize_t got = ::recv(diagnosis.get(), answer.data(), answer.size(), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
  if (got < 0 || !NLMSG_OK(header, static_cast<std::size_t>(got)) ||
      header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
      header->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) {
    return {};
  }
  const auto* message = static_cast<const inet_diag_msg*>(NLMSG_DATA(header));
  // The kernel may answer with a listening socket on that port when the connected one is gone.
  if (message->id.idiag_sport != request.body.id.idiag_sport ||
      message->id.idiag_dport != request.body.id.idiag_dport ||
      std::memcmp(message->id.idiag_src, request.body.id.idiag_src, 16) != 0 ||
      std::memcmp(message->id.idiag_dst, request.body.id.idiag_dst, 16) != 0) {
    return {};
  }
  // A socket that its process has closed already belongs to nobody: the kernel says 0 for it, which
  // must not pass for root.
  if (message->idiag_inode == 0) return {};
  return message->idiag_uid;
}

}  // namespace

admin::Caller identify_caller(const ClientInfo& client) {
  const Address& peer = client.peer;
  admin::Caller caller;
  caller.address = peer.family == Address::Family::unix_path ? "unix" : peer.to_string();
  if (client.is_tls) {
    caller.transport = admin::Caller::Transport::tls;
    if (auto shown = client.tls->peer_certificate()) {
      caller.certificate = {.names = std::move(shown->names), .expires = shown->expires};
    }
  } else if (peer.family == Address::Family::unix_path) {
    caller.transport = admin::Caller::Transport::unix_socket;
    caller.uid = unix_peer_uid(client.fd);
  } else if (peer.is_loopback()) {
    caller.transport = admin::Caller::Transport::loopback_tcp;
    caller.uid = tcp_peer_uid(client.fd);
  }
  return caller;
}

}  // namespace sluice::proxy
