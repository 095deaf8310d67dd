// Replies: what the API says. JSON that a person can read, or tables with `?format=text`.
// Control calls the second half once a Command has run; what left the configuration while a call
// was waiting is answered with 404.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "admin/api.h"
#include "routing/revision.h"
#include "routing/state.h"

namespace sluice::admin {

// --- What GET answers -------------------------------------------------------------------------
Reply render_index(const View& view, Format format);
Reply render_weights(const View& view, Format format);
// Precondition: the route exists.
Reply render_route(const View& view, std::string_view route, Format format);
Reply render_backends(const View& view, Format format);
// Precondition: the backend exists.
Reply render_backend(const View& view, std::string_view backend, Format format);

// Precondition: the server exists.
Reply render_server(const View& view, const routing::ServerKey& server, Format format);
// At most `limit` of those before `before` (0: of all), newest first; `route` empty: of all routes.
Reply render_history(const View& view, std::string_view route, routing::RevisionNumber before,
                     std::size_t limit, Format format);
Reply render_revision(const routing::Revision& revision, Format format);
Reply render_leases(const View& view, Format format);
// Of the last reload that found any.
Reply render_conflicts(const View& view, Format format);

// --- What becomes of a Command ----------------------------------------------------------------
// The plan was refused: 404, 409, 412, 422 or 428, and nothing changed.
Reply render_plan_error(const View& view, const Command& command, const routing::PlanError& error);
// What the command would do: 200, and nothing changed.
Reply render_dry_run(const View& view, const Command& command, const routing::Revision& revision);
// A repeated call of which no more is known than the revision that it made.
Reply render_made_before(const Command& command, routing::RevisionNumber number);
// The plan changes nothing, and what is already so is in force everywhere (control makes sure, as
// after a change: an earlier call may have ended in 504): 200. A Drain gets render_drain.
Reply render_noop(const View& view, const Command& command);
// The revision is in force everywhere: 200, or 201 for a new server. A Drain gets render_drain.
// `replayed`: it was made by an earlier call of the same Idempotency-Key.
Reply render_done(const View& view, const Command& command, const routing::Revision& revision,
                  bool replayed = false);
// A reload's verdict: 200, or 422 with every reason.
Reply render_reload(const Command& command, const std::vector<std::string>& errors,
                    const std::vector<std::string>& conflicts, routing::RevisionNumber revision);
// No backend became able to take what wait=healthy asked for in time: 504, and nothing changed.
Reply render_not_healthy(const routing::PlanError& error, Duration waited);
// A drain or resume is in force everywhere, and what `wait` asked for is so: 200. `changed` is
// false when it was already so.
Reply render_drain(const View& view, const Command& command, bool changed);
// What `wait` asked for did not come in time: 504 with the server's state. The drain stays.
Reply render_wait_lapsed(const View& view, const Command& command);
// The revision is durable, but these workers did not adopt it in time: 504.
Reply render_not_adopted(const View& view, routing::RevisionNumber revision,
                         std::span<const std::size_t> workers);
// As many clients follow GET /events as may: 503.
Reply render_too_many_streams(std::size_t streams_max);
// The ledger took no record: 503, and nothing changed. `why` is a sentence.
Reply render_ledger_failed(std::string_view why);

// --- What never became a call -----------------------------------------------------------------
// Its body was too large (413) or too slow (408), or it is no HTTP (400, 414, 417, 431, 501, 505).
Reply render_unread(int status, std::string_view why);

}  // namespace sluice::admin
