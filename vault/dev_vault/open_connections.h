#pragma once

namespace cmkstore::dev_vault {

// The HTTP library does not show its sockets, so these find them among the process's own files by
// their ports.

// Sends a TCP reset on the connection from `peer_port` to our `port`.
void ResetConnection(int port, int peer_port);
// Ends every connection to our `port`, so that no idle one holds up a stop.
void ShutDownConnections(int port);

}  // namespace cmkstore::dev_vault
