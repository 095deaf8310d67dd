// ClientProtocol: what runs on a client's connection once it is open: HTTP/1 or HTTP/2.
//
// Made and owned by its ClientConnection, which calls it from the loop's turn only.
#pragma once

#include "proxy/base/bytes.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

class ClientProtocol : public io::Retired {
 public:
  virtual void on_data(Bytes bytes) = 0;
  // The client sends no more. `clean` is false when TLS was cut without its close_notify.
  virtual void on_end(bool clean) = 0;
  // Transport::notify_when_below() came true.
  virtual void on_writable() = 0;
  // What ClientConnection::arm() was asked for.
  virtual void on_timer() = 0;
  // The process is leaving: end when what runs is answered.
  virtual void drain() = 0;
  // Idle, and about to be ended for want of room: the client is told, where HTTP has a way to.
  virtual void on_giving_way() {}
  // The last call: exchanges that still run are told that their client has gone.
  virtual void on_detached() = 0;
};

}  // namespace sluice::proxy
