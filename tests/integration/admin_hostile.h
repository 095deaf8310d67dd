// AdminHostile: admin calls that must be refused: with the documented answer, nothing changed, and
// exactly one line in the audit log.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/integration/admin_calls.h"

namespace sluice::integration {

Fields field(std::string_view name, std::string_view value);

class AdminHostile : public AdminCalls {
 protected:
  // Whatever a call could change: every route's setting and revision, every server, and every byte
  // that is kept on disk.
  struct Everything {
    json routes;
    json backends;
    std::map<std::string, std::string> files;
    bool operator==(const Everything&) const = default;
  };
  Everything everything();

  // `send` makes one call, which must be answered with that status and code (empty: any), change
  // nothing, and leave one line.
  void expect_refused(const std::string& what, int status, const std::string& code,
                      const std::function<Response()>& send);

  struct Row {
    const char* method;
    std::string target;
    std::string body;
    int status;
    const char* code;
  };
  void expect_each(const std::vector<Row>& rows, const Fields& fields);
};

}  // namespace sluice::integration
