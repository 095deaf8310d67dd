#include "proxy/io/listening_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "proxy/io/sockaddr.h"

namespace sluice::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Address at(const std::string& text) {
  return *Address::parse(text);
}

int connect_error(const Address& address) {
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(address, storage);
  const FileDescriptor fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0 ? 0 : errno;
}

// A folder of its own, gone at the end.
class UnixListeningSocket : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sluice-listen-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    address_ = at("unix:" + path());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return (folder_ / "s").string(); }

  std::filesystem::path folder_;
  Address address_;
};

TEST(ListeningSocket, PortZeroTakesAFreeOneAndClientsCanConnect) {
  const auto socket = open_listening_socket(at("127.0.0.1:0"));
  ASSERT_TRUE(socket.has_value()) << socket.error();
  const Address bound = bound_address(socket->get());
  EXPECT_NE(bound.port, 0);
  EXPECT_EQ(bound.ip_to_string(), "127.0.0.1");
  EXPECT_EQ(connect_error(bound), 0);
  EXPECT_NE(::fcntl(socket->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(socket->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(ListeningSocket, Ipv6AndIpv4WildcardsShareAPort) {
  const auto v4 = open_listening_socket(at("*:0"));
  ASSERT_TRUE(v4.has_value()) << v4.error();
  Address any6 = at("[::]:0");
  any6.port = bound_address(v4->get()).port;
  const auto v6 = open_listening_socket(any6);
  if (!v6 && v6.error().find("IPv6 is disabled") != std::string::npos) GTEST_SKIP() << v6.error();
  ASSERT_TRUE(v6.has_value()) << v6.error();
  EXPECT_EQ(bound_address(v6->get()), any6);
}

TEST(ListeningSocket, BusyPortIsASentenceWithTheAddress) {
  const auto first = open_listening_socket(at("127.0.0.1:0"), {.reuse_port = true});
  ASSERT_TRUE(first.has_value());
  const Address bound = bound_address(first->get());
  const auto exclusive = open_listening_socket(bound);
  ASSERT_FALSE(exclusive.has_value());
  EXPECT_THAT(exclusive.error(), AllOf(HasSubstr("can't listen on " + bound.to_string()),
                                       HasSubstr("in use"), HasSubstr("another process")));
  // Though SO_REUSEPORT would let it through:
  const auto shared = open_listening_sockets(bound, 2);
  ASSERT_FALSE(shared.has_value());
  EXPECT_THAT(shared.error(), HasSubstr("in use"));
}

TEST(ListeningSocket, OnePerWorkerOnTheSamePort) {
  const auto sockets = open_listening_sockets(at("127.0.0.1:0"), 4);
  ASSERT_TRUE(sockets.has_value()) << sockets.error();
  ASSERT_EQ(sockets->size(), 4u);
  for (const FileDescriptor& each : *sockets) {
    EXPECT_EQ(bound_address(each.get()), bound_address(sockets->front().get()));
  }
}

TEST(ListeningSocket, RestartedProcessGetsItsPortBack) {
  Address bound;
  {
    const auto first = open_listening_sockets(at("127.0.0.1:0"), 1);
    ASSERT_TRUE(first.has_value());
    bound = bound_address(first->front().get());
    // Leaves a connection in TIME_WAIT on our side.
    EXPECT_EQ(connect_error(bound), 0);
    FileDescriptor accepted(::accept4(first->front().get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(accepted);
  }
  const auto second = open_listening_sockets(bound, 2);
  EXPECT_TRUE(second.has_value()) << second.error();
}

TEST(ListeningSocket, AddressOfAnotherMachineIsASentence) {
  const auto socket = open_listening_socket(at("192.0.2.1:0"));  // RFC 5737
  ASSERT_FALSE(socket.has_value());
  EXPECT_THAT(socket.error(), AllOf(HasSubstr("192.0.2.1:0"), HasSubstr("no interface")));
}

TEST(ListeningSocket, FullDescriptorTableIsASentence) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto socket = open_listening_socket(at("127.0.0.1:0"));
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(socket.has_value());
  EXPECT_THAT(socket.error(), HasSubstr("ulimit -n"));
}

TEST_F(UnixListeningSocket, HasTheModeThatWasAskedFor) {
  const auto socket = open_listening_socket(address_, {.unix_mode = 0600});
  ASSERT_TRUE(socket.has_value()) << socket.error();
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0600u);
  EXPECT_EQ(bound_address(socket->get()), address_);
  EXPECT_EQ(connect_error(address_), 0);
}

TEST_F(UnixListeningSocket, StaleFileIsReplaced) {
  { ASSERT_TRUE(open_listening_socket(address_).has_value()); }
  ASSERT_TRUE(std::filesystem::exists(path()));
  const auto second = open_listening_socket(address_);
  ASSERT_TRUE(second.has_value()) << second.error();
  EXPECT_EQ(connect_error(address_), 0);
}

TEST_F(UnixListeningSocket, LivingServerIsLeftAlone) {
  const auto first = open_listening_socket(address_);
  ASSERT_TRUE(first.has_value());
  const auto second = open_listening_socket(address_);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error(), AllOf(HasSubstr(path()), HasSubstr("another process answers")));
  EXPECT_EQ(connect_error(address_), 0);
}

TEST_F(UnixListeningSocket, OrdinaryFileIsLeftAlone) {
  std::ofstream(path()) << "precious";
  const auto socket = open_listening_socket(address_);
  ASSERT_FALSE(socket.has_value());
  EXPECT_THAT(socket.error(), HasSubstr("not a socket"));
  std::string text;
  std::ifstream(path()) >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(UnixListeningSocket, MissingFolderIsASentence) {
  const auto socket = open_listening_socket(at("unix:" + folder_.string() + "/no/s"));
  ASSERT_FALSE(socket.has_value());
  EXPECT_THAT(socket.error(), HasSubstr("directory doesn't exist"));
}

TEST_F(UnixListeningSocket, WorkersShareOne) {
  const auto sockets = open_listening_sockets(address_, 3);
  ASSERT_TRUE(sockets.has_value()) << sockets.error();
  EXPECT_EQ(sockets->size(), 3u);
  EXPECT_EQ(connect_error(address_), 0);
  const FileDescriptor accepted(::accept4(sockets->back().get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(accepted);
}

TEST_F(UnixListeningSocket, FileGoesWithItsOwner) {
  const auto socket = open_listening_socket(address_);
  ASSERT_TRUE(socket.has_value());
  {
    SocketFile file(address_);
    SocketFile owner = std::move(file);
    file = SocketFile();
    EXPECT_TRUE(std::filesystem::exists(path()));
  }
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(UnixListeningSocket, AnothersFileStays) {
  auto socket = open_listening_socket(address_);
  ASSERT_TRUE(socket.has_value());
  std::optional<SocketFile> file(std::in_place, address_);
  socket->reset();
  // A successor finds nobody there, and takes the place.
  const auto successor = open_listening_socket(address_);
  ASSERT_TRUE(successor.has_value()) << successor.error();
  file.reset();
  EXPECT_EQ(connect_error(address_), 0);
}

TEST_F(UnixListeningSocket, FileOfSomethingElseIsNobodys) {
  const SocketFile none(at("127.0.0.1:80"));
  const SocketFile missing(address_);
}

}  // namespace
}  // namespace sluice::io
