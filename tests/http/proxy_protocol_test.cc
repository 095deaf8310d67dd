#include "proxy/http/proxy_protocol.h"

#include <string>

#include "proxy/base/crc32c.h"
#include "tests/http/proxy_verdict.h"
#include "tests/http/split_verdict.h"

namespace sluice::http {
namespace {

using std::string_literals::operator""s;

std::string verdict(const std::string& text) {
  return verdict_however_split(text, [](const auto& pieces) { return proxy_verdict(pieces); });
}

struct Case {
  std::string text;
  std::string verdict;
};

void expect_all(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    EXPECT_EQ(verdict(c.text), c.verdict) << testing::PrintToString(c.text);
  }
}

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(char command, char family, const std::string& block) {
  return kSignature + command + family + static_cast<char>(block.size() >> 8) +
         static_cast<char>(block.size()) + block;
}

const std::string kTcp4Block = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x01\x00\x00\x50"s;
const std::string kTcp4 = "192.0.2.7:256 to 198.51.100.1:80";

std::string extension(char type, const std::string& value) {
  return type + std::string(1, static_cast<char>(value.size() >> 8)) +
         static_cast<char>(value.size()) + value;
}

// The header with the right checksum in place of the four zeros at `at`.
std::string with_checksum(std::string header, std::size_t at) {
  const std::uint32_t sum = crc32c(as_bytes(header));
  for (int byte = 0; byte < 4; ++byte)
    header[at + byte] = static_cast<char>(sum >> (24 - 8 * byte));
  return header;
}

TEST(ProxyHeaderV1, WellFormedLinesAreRead) {
  expect_all({
      {"PROXY TCP4 192.0.2.7 198.51.100.1 256 80\r\n", kTcp4 + " after 42"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\nGET",
       "255.255.255.255:65535 to 255.255.255.255:65535 after 56"},
      {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0 to 0.0.0.0:0 after 32"},
      {"PROXY TCP6 2001:db8::1 ::1 1 443\r\n", "[2001:db8::1]:1 to [::1]:443 after 34"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF 65535 65535\r\n",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 to "
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 after 104"},
      {"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "[::ffff:192.0.2.7]:1 to [::1]:2 after 37"},
      {"PROXY UNKNOWN\r\n", "the connection's own after 15"},
      {"PROXY UNKNOWN ffff::1 anything \x01 at all\r\nGET", "the connection's own after 41"},
      {"PROXY UNKNOWN " + std::string(91, 'f') + "\r\n", "the connection's own after 107"},
  });
}

TEST(ProxyHeaderV1, MalformedLinesAreRefused) {
  const std::string address = "malformed address in PROXY header";
  const std::string port = "malformed port in PROXY header";
  const std::string words = "too few words in PROXY header";
  const std::string protocol = "unknown protocol in PROXY header";
  expect_all({
      {"", "need_more"},
      {"PROXY", "need_more"},
      {"PROXY TCP4 192.0.2.7 198.51.100.1 256 80\r", "need_more"},
      {"GET / HTTP/1.1\r\n", "no PROXY header"},
      {"POST / HTTP/1.1\r\n", "no PROXY header"},
      {"proxy TCP4", "no PROXY header"},
      {" PROXY TCP4", "no PROXY header"},
      {"PROXY\tTCP4", "no PROXY header"},
      {"PROXY\r\n", "no PROXY header"},
      {"PROXY \r\n", protocol},
      {"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", protocol},
      {"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", protocol},
      {"PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", protocol},
      {"PROXY TCP4\r\n", protocol},
      {"PROXY UNKNOWNS\r\n", protocol},
      {"PROXY TCP4 \r\n", words},
      {"PROXY TCP4 1.1.1.1\r\n", words},
      {"PROXY TCP4 1.1.1.1 2.2.2.2\r\n", words},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", words},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2  1 2\r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", port},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 0x1 2\r\n", port},
      {"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", address},
      {"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", address},
      {"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", address},
      {"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n", address},
      {"PROXY TCP4 1.1.1.1 2.2.2.2.2 1 2\r\n", address},
      {"PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n"s, address},
      {"PROXY TCP4 ::1 ::1 1 2\r\n", address},
      {"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", address},
      {"PROXY TCP6 ::1 1::2::3 1 2\r\n", address},
      {"PROXY TCP6 ::1%lo ::1 1 2\r\n", address},
      {"PROXY TCP6 [::1] ::1 1 2\r\n", address},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "bare LF in PROXY header"},
      {"PROXY UNKNOWN\n", "bare LF in PROXY header"},
      {"PROXY TCP4 1.1.1.1\r 2.2.2.2 1 2\r\n", "bare CR in PROXY header"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", "bare CR in PROXY header"},
      {"PROXY UNKNOWN " + std::string(92, 'f') + "\r\n", "PROXY header too long"},
      {"PROXY " + std::string(200, 'x'), "PROXY header too long"},
  });
}

TEST(ProxyHeaderV2, WellFormedHeadersAreRead) {
  const std::string unix_block =
      "/run/a.sock" + std::string(97, '\0') + std::string(107, 'b') + '\0';
  expect_all({
      {v2('\x21', '\x11', kTcp4Block), kTcp4 + " after 28"},
      {v2('\x21', '\x11', kTcp4Block) + "GET", kTcp4 + " after 28"},
      {v2('\x21', '\x21',
          "\x20\x01\x0d\xb8"s + std::string(11, '\0') + '\1' + std::string(15, '\0') + '\1' +
              "\x00\x01\x01\xbb"s),
       "[2001:db8::1]:1 to [::1]:443 after 52"},
      {v2('\x21', '\x31', unix_block),
       "unix:/run/a.sock to unix:" + std::string(107, 'b') + " after 232"},
      {v2('\x21', '\x31', std::string(216, '\0')), "unix: to unix: after 232"},
      {v2('\x20', '\0', ""), "the connection's own after 16"},
      {v2('\x20', '\x11', kTcp4Block), "the connection's own after 28"},
      {v2('\x20', '\x7f', "whatever"), "the connection's own after 24"},
      {v2('\x21', '\0', ""), "the connection's own after 16"},
      {v2('\x21', '\0', "whatever"), "the connection's own after 24"},
  });
}

TEST(ProxyHeaderV2, ExtensionsAreSkippedButForTheChecksum) {
  const std::string zeros(4, '\0');
  const std::string begin = kTcp4Block + extension('\x04', "") + extension('\x02', "example.com");
  const std::string block = begin + extension('\x03', zeros) + extension('\x05', "id");
  const std::size_t checksum_at = 16 + begin.size() + 3;
  const std::string good = with_checksum(v2('\x21', '\x11', block), checksum_at);
  EXPECT_EQ(verdict(good), kTcp4 + " after " + std::to_string(good.size()));
  const std::string only =
      with_checksum(v2('\x21', '\x11', kTcp4Block + extension('\x03', zeros)), 31);
  EXPECT_EQ(verdict(only), kTcp4 + " after 35");
  const std::string unknown = v2('\x21', '\x11', kTcp4Block + extension('\xee', "x"));
  EXPECT_EQ(verdict(unknown), kTcp4 + " after 32");

  const std::size_t type_at = checksum_at - 3;  // without its type it would be no checksum
  for (std::size_t at = 16; at < good.size(); ++at) {
    if (at == type_at) continue;
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    EXPECT_EQ(proxy_verdict({bad}).find(" after "), std::string::npos) << at;
  }
}

TEST(ProxyHeaderV2, MalformedHeadersAreRefused) {
  const std::string zeros(4, '\0');
  const std::string kind = "unknown family or transport in PROXY header";
  const std::string cut = "cut extension in PROXY header";
  std::vector<Case> cases = {
      {"\r\n", "need_more"},
      {kSignature, "need_more"},
      {v2('\x21', '\x11', kTcp4Block).substr(0, 27), "need_more"},
      {"\r\nGET", "no PROXY header"},
      {"\r\n\r\n\0\r\nQUIT\r"s, "no PROXY header"},
      {v2('\x11', '\x11', kTcp4Block), "unknown version in PROXY header"},
      {v2('\x31', '\x11', kTcp4Block), "unknown version in PROXY header"},
      {v2('\x22', '\x11', kTcp4Block), "unknown command in PROXY header"},
      {v2('\x2f', '\x11', kTcp4Block), "unknown command in PROXY header"},
      {v2('\x21', '\x11', kTcp4Block.substr(1)), "PROXY header too short for its addresses"},
      {v2('\x21', '\x11', ""), "PROXY header too short for its addresses"},
      {v2('\x21', '\x21', std::string(35, '\0')), "PROXY header too short for its addresses"},
      {v2('\x21', '\x31', std::string(215, '\0')), "PROXY header too short for its addresses"},
      {v2('\x21', '\x31', std::string(216, 'a')), "malformed path in PROXY header"},
      {v2('\x21', '\x31', "/a\nb" + std::string(212, '\0')), "malformed path in PROXY header"},
      {v2('\x21', '\x31', std::string(108, '\0') + "/a\x7f" + std::string(105, '\0')),
       "malformed path in PROXY header"},
      {v2('\x21', '\x11', kTcp4Block + "\x04"), cut},
      {v2('\x21', '\x11', kTcp4Block + "\x04\0"s), cut},
      {v2('\x21', '\x11', kTcp4Block + "\x04\0\1"s), cut},
      {v2('\x21', '\x11', kTcp4Block + extension('\4', "a") + "\x04\xff\xff"), cut},
      {v2('\x21', '\x11', kTcp4Block + extension('\3', zeros)), "wrong checksum in PROXY header"},
      {v2('\x21', '\x11', kTcp4Block + extension('\3', "abc")),
       "malformed checksum in PROXY header"},
      {with_checksum(
           v2('\x21', '\x11', kTcp4Block + extension('\3', zeros) + extension('\3', zeros)), 31),
       "repeated checksum in PROXY header"},
      {kSignature + "\x21\x11\xff\xff", "PROXY header too long"},
      {kSignature + "\x20\x00\x07\xf1"s, "PROXY header too long"},
  };
  for (const char family :
       {'\x01', '\x02', '\x10', '\x12', '\x13', '\x20', '\x22', '\x30', '\x32', '\x41', '\xff'}) {
    cases.push_back({v2('\x21', family, std::string(216, '\0')), kind});
  }
  expect_all(cases);
}

TEST(ProxyHeaderV2, HeadersUpToTheBoundAreRead) {
  const std::string block(kProxyV2BytesMax - 16, '\0');
  EXPECT_EQ(proxy_verdict({v2('\x20', '\0', block)}), "the connection's own after 2048");
}

TEST(ProxyHeader, NothingIsConsumedOnceTheVerdictIsThere) {
  ProxyHeaderParser done;
  EXPECT_EQ(done.consume(as_bytes("PROXY UNKNOWN\r\n")).consumed, 15u);
  const auto more = done.consume(as_bytes("GET"));
  EXPECT_EQ(more.consumed, 0u);
  EXPECT_EQ(more.status, ProxyHeaderParser::Status::done);
  ProxyHeaderParser failed;
  failed.consume(as_bytes("G"));
  EXPECT_EQ(failed.consume(as_bytes("PROXY")).status, ProxyHeaderParser::Status::error);
}

struct WriteCase {
  const char* source;
  const char* destination;
  std::string v1;
  std::string v2_read;  // what version 2 reads back as, without its length
};

TEST(ProxyHeader, WrittenHeadersReadBack) {
  const std::string own = "the connection's own";
  const WriteCase cases[] = {
      {"192.0.2.7:256", "198.51.100.1:80", "PROXY TCP4 192.0.2.7 198.51.100.1 256 80\r\n", kTcp4},
      {"[2001:db8::1]:1", "[::1]:443", "PROXY TCP6 2001:db8::1 ::1 1 443\r\n",
       "[2001:db8::1]:1 to [::1]:443"},
      {"[::ffff:192.0.2.7]:256", "[::ffff:198.51.100.1]:80",
       "PROXY TCP4 192.0.2.7 198.51.100.1 256 80\r\n", kTcp4},
      {"[2001:db8::1]:1", "192.0.2.7:80", "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.7 1 80\r\n",
       "[2001:db8::1]:1 to [::ffff:192.0.2.7]:80"},
      {"192.0.2.7:80", "[2001:db8::1]:1", "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 80 1\r\n",
       "[::ffff:192.0.2.7]:80 to [2001:db8::1]:1"},
      {"unix:/a", "unix:/b.sock", "PROXY UNKNOWN\r\n", "unix:/a to unix:/b.sock"},
      {"unix:/a", "192.0.2.7:80", "PROXY UNKNOWN\r\n", own},
      {"", "192.0.2.7:80", "PROXY UNKNOWN\r\n", own},
      {"", "", "PROXY UNKNOWN\r\n", own},
  };
  for (const WriteCase& c : cases) {
    const Address source = Address::parse(c.source).value_or(Address{});
    const Address destination = Address::parse(c.destination).value_or(Address{});
    std::string first = "kept ";
    write_proxy_header(first, ProxyVersion::v1, source, destination);
    EXPECT_EQ(first, "kept " + c.v1);
    std::string second;
    write_proxy_header(second, ProxyVersion::v2, source, destination);
    EXPECT_EQ(verdict(second), c.v2_read + " after " + std::to_string(second.size()))
        << c.source << " to " << c.destination;
    EXPECT_EQ(second[12], '\x21');
  }
}

TEST(ProxyHeader, AConnectionOfOurOwnSaysSo) {
  std::string first;
  write_local_proxy_header(first, ProxyVersion::v1);
  EXPECT_EQ(first, "PROXY UNKNOWN\r\n");
  std::string second;
  write_local_proxy_header(second, ProxyVersion::v2);
  EXPECT_EQ(second, v2('\x20', '\0', ""));
}

}  // namespace
}  // namespace sluice::http
