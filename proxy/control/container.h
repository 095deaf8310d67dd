// Whether this process runs in a container, where other containers may share its loopback and
// where user numbers may mean other people.
#pragma once

#include <string>

namespace sluice::proxy {

// What shows it, in a few words ("/.dockerenv exists"); empty: nothing does. Reads files and the
// environment; for start and reload.
std::string find_container();

}  // namespace sluice::proxy
