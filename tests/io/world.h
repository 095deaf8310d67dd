// The same test against the kernel and against the fake: a ring, and the other end of its
// connections.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/io/ring.h"
#include "tests/io/fake_network.h"

namespace sluice::io {

// The other end of a connection of the ring under test.
class RemoteEnd {
 public:
  virtual ~RemoteEnd() = default;
  // Writes what the kernel takes at once; the test keeps such writes small enough.
  virtual void write(std::string_view bytes) = 0;
  // All that has been read so far; reads more unless told not to.
  virtual const std::string& received() = 0;
  virtual void stop_reading() = 0;
  virtual void resume_reading() = 0;
  virtual bool saw_end() = 0;
  virtual bool saw_reset() = 0;
  virtual void finish() = 0;
  virtual void reset() = 0;
};

class World {
 public:
  virtual ~World() = default;
  virtual Ring& ring() = 0;
  // A listening descriptor for the ring, and where it listens.
  virtual int listen(Address& address) = 0;
  virtual std::unique_ptr<RemoteEnd> connect(const Address& address) = 0;
  // Somewhere the ring can connect to; accept() then gives the other end.
  virtual Address listen_remotely() = 0;
  virtual std::unique_ptr<RemoteEnd> accept() = 0;
  virtual Address address_without_listener() = 0;
  virtual int open_event() = 0;
  virtual void signal(int event_fd) = 0;  // one 8-byte count
  // What a finished test must leave behind: nothing. Empty when so.
  virtual std::string check_clean() = 0;
  // Faults are at work: results may be short, multishots end, and so on.
  virtual bool faulty() const = 0;
};

using WorldMaker = std::function<std::unique_ptr<World>(const RingOptions&)>;

std::unique_ptr<World> make_kernel_world(const RingOptions& options);
std::unique_ptr<World> make_fake_world(const FaultPlan& plan, const RingOptions& options);

}  // namespace sluice::io
