// The keys of the admin interface.
#pragma once

#include "conf/config.h"
#include "conf/section.h"

namespace sluice::conf {

// What a file without [admin] means.
Admin default_admin();

Section<Admin> admin_section();

}  // namespace sluice::conf
