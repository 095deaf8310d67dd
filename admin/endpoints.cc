#include "admin/endpoints.h"

#include <array>

namespace sluice::admin {
namespace {

using enum conf::Role;

constexpr std::array<Endpoint, kEndpointCount> kEndpoints = {{
    {"/", "GET, HEAD", "what there is", "admin/"},
    {"/weights", "GET, HEAD", "every route: desired and in-force weights, revision, observed share",
     "admin/weights"},
    {"/weights/{ROUTE}", "GET, HEAD, PUT, PATCH",
     "one route; PUT states the whole split, PATCH a part of it",
     "-X PUT admin/weights/app -d 'blue=90&green=10'", viewer, operator_},
    {"/switch/{ROUTE}", "POST", "all of a route's requests to one backend",
     "-X POST admin/switch/app -d to=green", viewer, operator_},
    {"/shifts", "POST", "several routes at once, all or none",
     "-X POST admin/shifts -d 'app/blue=90&app/green=10&api/blue=50&api/green=50'", viewer,
     operator_},
    {"/states/{ROUTE}", "PUT, PATCH",
     "what each backend of a split is for: active, sticky_only or off",
     "-X PATCH admin/states/app -d blue=sticky_only", viewer, operator_},
    {"/maintenance/{ROUTE}", "POST, DELETE",
     "the route answers 503 with Retry-After; DELETE ends it",
     "-X POST admin/maintenance/app -d retry_after=120s", viewer, operator_},
    {"/rollback/{ROUTE}", "POST", "what the route was before; again: further back",
     "-X POST admin/rollback/app", viewer, operator_},
    {"/history", "GET, HEAD", "the revisions, newest first", "'admin/history?limit=10'"},
    {"/history/{ROUTE}", "GET, HEAD", "the revisions that changed a route", "admin/history/app"},
    {"/revisions/{NUMBER}", "GET, HEAD", "one revision: who, when, why, before and after",
     "admin/revisions/41"},
    {"/leases", "GET, HEAD", "the shifts that lapse unless they are renewed", "admin/leases"},
    {"/leases/{NUMBER}", "DELETE", "the shift of that revision stays for good",
     "-X DELETE admin/leases/42", viewer, operator_},
    {"/leases/{NUMBER}/renew", "POST", "the shift of that revision stays for another while",
     "-X POST admin/leases/42/renew -d ttl=60s", viewer, operator_},
    {"/backends", "GET, HEAD", "every backend's servers: health, running exchanges, drains",
     "admin/backends"},
    {"/backends/{BACKEND}", "GET, HEAD", "one backend's servers", "admin/backends/blue"},
    {"/backends/{BACKEND}/drain", "POST", "no new work for any server of a backend",
     "-X POST 'admin/backends/blue/drain?wait=60s'", viewer, operator_},
    {"/backends/{BACKEND}/resume", "POST", "new work again for all of them",
     "-X POST 'admin/backends/blue/resume?wait=60s'", viewer, operator_},
    {"/servers/{BACKEND}", "POST", "a new server, without a reload",
     "-X POST admin/servers/blue -d 'address=10.0.0.9:8080&name=web-3'", viewer, admin},
    {"/servers/{BACKEND}/{SERVER}", "GET, HEAD, PATCH, DELETE",
     "one server; PATCH its weight, DELETE takes it out for good",
     "-X PATCH admin/servers/blue/web-1 -d weight=2", viewer, admin},
    {"/servers/{BACKEND}/{SERVER}/drain", "POST",
     "no new work for a server; with wait, answers when it is safe to stop",
     "-X POST 'admin/servers/blue/web-1/drain?wait=60s'", viewer, operator_},
    {"/servers/{BACKEND}/{SERVER}/resume", "POST",
     "new work again; with wait, answers when the server takes it",
     "-X POST 'admin/servers/blue/web-1/resume?wait=60s'", viewer, operator_},
    {"/conflicts", "GET, HEAD", "what the file and the API disagreed on at the last reload",
     "admin/conflicts"},
    {"/reload", "POST", "reads the file again, as SIGHUP does, and answers with the verdict",
     "-X POST admin/reload", viewer, admin},
    {"/ledger", "GET, HEAD", "all of the ledger, to be kept elsewhere", "admin/ledger", admin,
     admin},
    {"/events", "GET, HEAD",
     "what happens, as server-sent events: shifts, health, reloads, drains, leases, alarms",
     "-N admin/events"},
    {"/explain", "GET, HEAD", "which route, backend and servers a request would get, and why",
     "'admin/explain?host=app.example&path=/cart'"},
    {"/webhooks", "GET, HEAD", "who is called when something happens, and how that goes",
     "admin/webhooks"},
}};

}  // namespace

std::span<const Endpoint> endpoints() {
  return kEndpoints;
}

}  // namespace sluice::admin
