#include "admin/printable.h"

#include <gtest/gtest.h>

#include "admin/table.h"

namespace sluice::admin {
namespace {

TEST(Printable, NothingThatATerminalObeysIsPrintable) {
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f dich"), "gr\xc3\xbc\xc3\x9f dich");
  EXPECT_EQ(printable("\x1b[31mred\x07\r\n\tx\x7f"), "?[31mred????x?");
  EXPECT_EQ(printable("a\n\tb\x1b", true), "a\n\tb?");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m")
      << "CSI as one character";
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "gpj.exe"),
            "?gpj.exe")
      << "right-to-left override";
  EXPECT_EQ(printable("\x9b"
                      "a"),
            "\xef\xbf\xbd"
            "a")
      << "no UTF-8";
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a?b");
}

TEST(Printable, ColumnsAreCharacters) {
  EXPECT_EQ(columns("abc"), 3u);
  EXPECT_EQ(columns("gr\xc3\xbc\xc3\x9f"), 4u);
  Table table({"A", "B"});
  table.add({"a \xe2\x86\x92 b", "1"});
  table.add({"\x1b[2J", ""});
  EXPECT_EQ(table.finish(),
            "A      B\n"
            "a \xe2\x86\x92 b  1\n"
            "?[2J   -\n");
}

}  // namespace
}  // namespace sluice::admin
