#include "admin/endpoints.h"

#include <array>

namespace sluice::admin {
namespace {

constexpr std::array<Endpoint, kEndpointCount> kEndpoints = {{
    {"/", "GET, HEAD", "what there is", "admin/"},
    {"/weights", "GET, HEAD", "every route: desired and in-force weights, revision, observed share",
     "admin/weights"},
    {"/weights/{ROUTE}", "GET, HEAD, PUT, PATCH",
     "one route; PUT states the whole split, PATCH a part of it",
     "-X PUT admin/weights/app -d 'blue=90&green=10'"},
    {"/switch/{ROUTE}", "POST", "all of a route's requests to one backend",
     "-X POST admin/switch/app -d to=green"},
    {"/backends", "GET, HEAD", "every backend's servers: health, running exchanges, drains",
     "admin/backends"},
    {"/backends/{BACKEND}", "GET, HEAD", "one backend's servers", "admin/backends/blue"},
    {"/servers/{BACKEND}/{SERVER}/drain", "POST",
     "no new work for a server; with wait, answers when it is safe to stop",
     "-X POST 'admin/servers/blue/web-1/drain?wait=60s'"},
    {"/servers/{BACKEND}/{SERVER}/resume", "POST",
     "new work again; with wait, answers when the server takes it",
     "-X POST 'admin/servers/blue/web-1/resume?wait=60s'"},
}};

}  // namespace

std::span<const Endpoint> endpoints() {
  return kEndpoints;
}

}  // namespace sluice::admin
