/* ipc.h - everything that the IPC-CTS C ABI declares.
 *
 * A library under test implements the functions below, fills one `ipc_table` with them and exports the single symbol
 * `ipc_get_table`. spec/abi.md is the contract; the parts, one a primitive, are documented where they are declared.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include "ipc/ancillary.h"
#include "ipc/base.h"
#include "ipc/fifo.h"
#include "ipc/framed.h"
#include "ipc/framing.h"
#include "ipc/local.h"
#include "ipc/loop.h"
#include "ipc/name.h"
#include "ipc/named_pipe.h"
#include "ipc/pipe.h"
#include "ipc/signal.h"
#include "ipc/socket.h"
#include "ipc/status.h"
#include "ipc/stream.h"
#include "ipc/table.h"
#include "ipc/unix.h"

#endif /* IPC_IPC_H */
