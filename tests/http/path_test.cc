// What becomes of a request's path before anyone reads it: docs/paths.md, as tables.
#include "proxy/http/path.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::http {
namespace {

using std::string_literals::operator""s;

struct Case {
  std::string target;
  std::string expected;  // the normalised target, or why it is refused
};

std::string normalized(std::string target, Method method = Method::get) {
  const std::string before = target;
  const char* const problem = normalize_target(method, target);
  if (problem == nullptr) return target;
  EXPECT_EQ(target, before) << "a refused target is left as it came";
  return problem;
}

TEST(Path, WhatIsInItsOneFormStays) {
  for (const char* target : {
           "/",
           "/a",
           "/a/",
           "/a/b.c/d-e_f~g/1",
           "/a;b=c/d;e",
           "/!$&'()*+,;=:@",
           "/|[]^",
           "/..a/...",
           "/.well-known/acme",
           "/a./b..",
           "/%20%25%3F%23%3B",
           "/%252e%252e/",
           "/%E2%82%AC",
           "/?",
           "/a?b",
           "/*",
       }) {
    EXPECT_EQ(normalized(target), target);
  }
}

TEST(Path, EncodingsHaveOneForm) {
  const Case cases[] = {
      {"/%41%5a%61%7A%30%39%2d%2E%5f%7E", "/AZaz09-._~"},
      {"/%e2%82%aC", "/%E2%82%AC"},
      {"/%3f%3b%3D%2a", "/%3F%3B%3D%2A"},
      {"/a%2eb", "/a.b"},
      {"/%2525", "/%2525"},
      {"/%2541", "/%2541"},
  };
  for (const Case& c : cases) EXPECT_EQ(normalized(c.target), c.expected) << c.target;
}

TEST(Path, DotSegmentsAreResolved) {
  const Case cases[] = {
      {"/.", "/"},
      {"/./", "/"},
      {"/a/.", "/a/"},
      {"/a/..", "/"},
      {"/a/../", "/"},
      {"/a/b/..", "/a/"},
      {"/a/./b/../c", "/a/c"},
      {"/a/b/../../c", "/c"},
      {"/a/%2e/b/%2E%2e/c", "/a/c"},
      {"/a/.%2e", "/"},
      {"/a;x/../b", "/b"},
      {"/a/..?x", "/?x"},
      {"/a/.?x/..", "/a/?x/.."},
      {"/public/../admin", "/admin"},
      // As remove_dot_segments of RFC 3986 §5.2.4 has it.
      {"/a/b/c/./../g", "/a/b/g"},
      {"/mid/content=5/../6", "/mid/6"},
  };
  for (const Case& c : cases) EXPECT_EQ(normalized(c.target), c.expected) << c.target;
}

TEST(Path, EmptySegmentsGo) {
  const Case cases[] = {
      {"//", "/"},           {"//a", "/a"},          {"/a//", "/a/"},     {"/a//b///c", "/a/b/c"},
      {"/a//../b", "/b"},    {"//a/..//b", "/b"},    {"/a/.//b", "/a/b"}, {"/.//", "/"},
      {"//?x//y", "/?x//y"}, {"/a//%2e%2e/b", "/b"},
  };
  for (const Case& c : cases) EXPECT_EQ(normalized(c.target), c.expected) << c.target;
}

TEST(Path, RefusedPaths) {
  const Case cases[] = {
      {"/..", "path leads above the root"},
      {"/../", "path leads above the root"},
      {"/../a", "path leads above the root"},
      {"//..", "path leads above the root"},
      {"/./..", "path leads above the root"},
      {"/a/../..", "path leads above the root"},
      {"/a/../../b", "path leads above the root"},
      {"/%2e%2e/etc/passwd", "path leads above the root"},
      {"/a//..//..", "path leads above the root"},
      {"/a%2fb", "encoded slash in path"},
      {"/a%2Fb", "encoded slash in path"},
      {"/..%2fetc", "encoded slash in path"},
      {"/a%5cb", "encoded backslash in path"},
      {"/a%5Cb", "encoded backslash in path"},
      {"/..%5c..", "encoded backslash in path"},
      {"/a\\b", "backslash in path"},
      {"/\\", "backslash in path"},
      {"/a/..\\b", "backslash in path"},
      {"/a%00", "encoded NUL in request target"},
      {"/a%00.html", "encoded NUL in request target"},
      {"/?a=%00", "encoded NUL in request target"},
      {"/a/..;/b", "dot segment with parameters in path"},
      {"/a/..;x=y/b", "dot segment with parameters in path"},
      {"/a/.;x", "dot segment with parameters in path"},
      {"/a/%2e%2E;x", "dot segment with parameters in path"},
      {"/a/..%3bx", "dot segment with parameters in path"},
      {"/a/..%3B", "dot segment with parameters in path"},
      {"/..;", "dot segment with parameters in path"},
      {"/#f", "fragment in request target"},
      {"/a?b#f", "fragment in request target"},
      {"/%", "malformed percent-encoding"},
      {"/%4", "malformed percent-encoding"},
      {"/%4g", "malformed percent-encoding"},
      {"/%%41", "malformed percent-encoding"},
      {"/%4/1", "malformed percent-encoding"},
      {"/%2?e", "malformed percent-encoding"},
      {"/?%u0041", "malformed percent-encoding"},
      {"/?%", "malformed percent-encoding"},
      {"/a b", "bad byte in request target"},
      {"/\t", "bad byte in request target"},
      {"/\r", "bad byte in request target"},
      {"/\n", "bad byte in request target"},
      {"/\0"s, "bad byte in request target"},
      {"/\x1b", "bad byte in request target"},
      {"/\x7f", "bad byte in request target"},
      {"/\x80", "bad byte in request target"},
      {"/\xc3\xa9", "bad byte in request target"},
      {"/?\xc3\xa9", "bad byte in request target"},
      {"/\"<>", "bad byte in request target"},
      {"/{a}", "bad byte in request target"},
      {"/`", "bad byte in request target"},
      {"", "request target does not begin with '/'"},
      {"a", "request target does not begin with '/'"},
      {"?a", "request target does not begin with '/'"},
      {"%2fa", "request target does not begin with '/'"},
      {"**", "request target does not begin with '/'"},
  };
  for (const Case& c : cases) EXPECT_EQ(normalized(c.target), c.expected) << c.target;
}

TEST(Path, QueriesAreLeftAsTheyCame) {
  const std::string query = "?%41=%7e&..//../%2f%5c=\\{|}`[^]'/?/./%3b;a";
  EXPECT_EQ(normalized("/a" + query), "/a" + query);
  EXPECT_EQ(normalized("/a/./%41" + query), "/a/A" + query);
}

TEST(Path, AsteriskIsForOptionsAlone) {
  EXPECT_EQ(normalized("*", Method::options), "*");
  for (const Method method : {Method::get, Method::head, Method::post, Method::other}) {
    EXPECT_EQ(normalized("*", method), "request target '*' without OPTIONS");
  }
}

// All paths of up to seven of these pieces: what comes out has nothing left to resolve, and
// normalising it again changes nothing.
TEST(Path, NormalisingIsFinal) {
  constexpr std::string_view kPieces[] = {"/", ".", "%2e", "a", ";", "%41"};
  constexpr int kPiecesMax = 7;
  int accepted = 0;
  std::string target = "/";
  const auto try_all = [&](const auto& self, int left) -> void {
    std::string once = target;
    if (normalize_target(Method::get, once) == nullptr) {
      ++accepted;
      ASSERT_EQ(normalized(once), once) << target;
      ASSERT_EQ(once.find("//"), std::string::npos) << target;
      ASSERT_EQ(once.find('%'), std::string::npos) << target;
      ASSERT_EQ((once + "/").find("/./"), std::string::npos) << target;
      ASSERT_EQ((once + "/").find("/../"), std::string::npos) << target;
    }
    if (left == 0) return;
    for (const std::string_view piece : kPieces) {
      const std::size_t size = target.size();
      target += piece;
      self(self, left - 1);
      target.resize(size);
    }
  };
  try_all(try_all, kPiecesMax);
  EXPECT_GT(accepted, 100'000);
}

}  // namespace
}  // namespace sluice::http
