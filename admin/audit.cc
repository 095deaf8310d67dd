#include "admin/audit.h"

#include "admin/json_writer.h"
#include "admin/parts.h"
#include "proxy/base/rfc3339.h"

namespace sluice::admin {
namespace {

void write_revision(JsonWriter& json, const routing::Revision& revision) {
  json.key("revision").value(revision.number);
  if (!revision.origin.author.empty()) json.key("author").value(revision.origin.author);
  if (!revision.origin.reason.empty()) json.key("reason").value(revision.origin.reason);
  write_changes(json.key("changes"), revision);
}

}  // namespace

bool is_audited(const Request& request, const Reply& reply) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  return !reads || reply.status >= 400;
}

std::string audit_line(const Request& request, const Reply& reply,
                       const routing::Revision* revision, WallTime now) {
  JsonWriter json(JsonWriter::Layout::one_line);
  json.begin_object();
  json.key("time").value(to_rfc3339(now));
  json.key("log").value("audit");
  json.key("identity").value(request.identity.name);
  json.key("by").value(word_for(request.identity.by));
  if (!request.identity.token_id.empty()) json.key("token").value(request.identity.token_id);
  if (request.identity.known()) json.key("role").value(word_for(request.identity.grant.role));
  json.key("address").value(request.caller.address);
  json.key("method").value(std::string_view(request.method).substr(0, kAuditPathBytesMax));
  json.key("path").value(std::string_view(request.target).substr(0, kAuditPathBytesMax));
  json.key("status").value(reply.status);
  json.key("what").value(reply.note);
  if (revision != nullptr) write_revision(json, *revision);
  json.end_object();
  return json.finish();
}

}  // namespace sluice::admin
