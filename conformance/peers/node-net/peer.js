'use strict';
/**
 * Peer for Node.js: local sockets of its `net` module (`net.createServer`, `net.connect` with a path, sockets read in
 * paused mode: `'readable'` and `read(size)`), FIFO files that `fs.open` opens, and signals (signals.js). What they do
 * and leave undone is shown as it is:
 *
 * - It accepts by itself and hands connections over by event: trait accepts_eagerly.
 * - `write` never waits. `stream.write` is answered by the write's callback, which is how a program learns that the
 *   system has taken the data ("executed when the data is finally written out"); so a write does wait for the reader,
 *   and writes_to_user_queue is not declared. When a write fails nothing tells how much of it had been taken: length
 *   counts the writes whose callback came without error.
 *   The callback of a write under way comes without an error when the socket is destroyed meanwhile, by the program or
 *   by an error of the connection: such a write is `ok` here, as it is to a program that awaits it.
 * - Sockets are made with `allowHalfOpen: true`; by default one that has read the end ends its writing side. `end()` ends
 *   that alone; nothing ends the reading side.
 * - `stream.close` is `destroy()`, which ends what is under way with an error or `'close'`: `cancelled`. Data that was
 *   written out stays readable for the other end.
 * - `listener.close` is `server.close()`, without waiting for its callback, which waits for every accepted socket.
 *   The file is removed by path.
 * - `setTimeout` tells that a socket is idle, it is no timeout of an operation: not offered. Neither are nonblocking
 *   attempts, credentials, and descriptors, which the module does not have. `readableAll` and `writableAll` set only
 *   some modes: local.listen.mode is not offered.
 * - An abstract name is bound with the length of the whole address, filled up with NUL (seen in 20.20): other programs
 *   do not find it under its exact name.
 * - Paths are text: a name that is not UTF-8 cannot be passed and is `invalid_name`.
 * - A FIFO is opened by a thread that `fs` has for it, which nothing can end while it waits, and its descriptor becomes a
 *   `net.Socket`. `fs` makes and removes none. A path that is no UTF-8 can be said here: `fs` takes a Buffer.
 */

const fs = require('fs');
const net = require('net');
const path = require('path');
const { run, Outcome, outcomeOf } = require(path.join(__dirname, '..', '..', 'kits', 'node', 'cts_peer.js'));
const signals = require(path.join(__dirname, 'signals.js'));

const PIPE_PREFIX = '\\\\.\\pipe\\';

/** Before 1.46 libuv ended every name at its first NUL. */
function hasNamespaced() {
  const [major, minor] = process.versions.uv.split('.').map(Number);
  return process.platform === 'win32' || (process.platform === 'linux' && (major > 1 || minor >= 46));
}

/** The path as `net` takes it: NUL before an abstract name, `\\.\pipe\` before a pipe's. */
function addressOf({ kind, name }) {
  const text = name.toString('utf8');
  if (!Buffer.from(text).equals(name)) throw new Outcome('invalid_name', 'net takes text only');
  if (kind !== 'namespaced') return text;
  return (process.platform === 'win32' ? PIPE_PREFIX : '\0') + text;
}

/** A server and the sockets that its event has handed over, which accept takes in order. */
class Listener {
  constructor() {
    this.waiting = []; // resolve functions of accepts
    this.sockets = [];
    this.closed = false;
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const stream = new Stream(socket);
      if (this.waiting.length) this.waiting.shift()(stream);
      else this.sockets.push(stream);
    });
  }

  /** Stops listening. Connections never accepted end for their clients; accepts under way are cancelled. */
  close() {
    this.closed = true;
    this.server.close();
    for (const stream of this.sockets.splice(0)) stream.close();
    for (const resolve of this.waiting.splice(0)) resolve(null);
  }
}

/** A socket, what went wrong with it, and whether the program closed it. */
class Stream {
  constructor(socket) {
    this.socket = socket;
    this.error = null;
    this.closed = false;
    socket.on('error', (error) => (this.error = this.error || error)); // an 'error' nobody listens to ends the process
  }

  close() {
    this.closed = true;
    this.socket.destroy();
  }

  /** At least one byte, or none at the end. */
  async readSome(call, size) {
    if (size === 0) return Buffer.alloc(0);
    for (;;) {
      if (this.closed) throw new Outcome('cancelled');
      const data = this.socket.read(Math.min(size, this.socket.readableLength) || undefined);
      if (data !== null) return data;
      if (this.socket.readableEnded) return Buffer.alloc(0);
      if (this.error) throw this.error;
      if (this.socket.destroyed) throw new Outcome('closed', 'the socket was destroyed without an error');
      await call.event(this.socket, ['readable', 'end', 'error', 'close']);
    }
  }

  /** Hands `buffers` to the module, in one go, and waits until the last one is written out. */
  write(call, buffers) {
    return call.wait((resolve, reject) => {
      const ended = (error) => (error ? reject(this.writeError(error)) : resolve());
      if (buffers.length > 1) this.socket.cork();
      buffers.forEach((buffer, index) => this.socket.write(buffer, index + 1 === buffers.length ? ended : undefined));
      if (buffers.length > 1) this.socket.uncork();
    });
  }

  /** The module's own codes: it says these where the socket was destroyed or ended before or during the write. */
  writeError(error) {
    if (error.code === 'ERR_STREAM_DESTROYED' && this.closed) return new Outcome('cancelled', error.message);
    if (error.code === 'ERR_STREAM_DESTROYED' && this.error) return outcomeOf(this.error);
    if (['ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'].includes(error.code)) {
      return new Outcome('broken_pipe', error.message);
    }
    return error;
  }
}

const local = {
  async 'local.listen'(call) {
    const listener = new Listener();
    const options = { path: addressOf(call.args) };
    if (call.args.backlog !== undefined) options.backlog = call.args.backlog;
    try {
      await call.wait((resolve, reject) => {
        listener.server.on('error', reject);
        listener.server.listen(options, resolve);
      });
    } catch (error) {
      if (listener.server.listening) listener.close();
      throw error;
    }
    call.make(listener);
    return { native: Buffer.from(listener.server.address()) };
  },

  async 'listener.accept'(call) {
    const listener = call.handle;
    if (listener.sockets.length) return call.make(listener.sockets.shift());
    const stream = await call.wait((resolve) => {
      listener.waiting.push(resolve);
      return () => (listener.waiting = listener.waiting.filter((other) => other !== resolve));
    });
    if (stream === null) throw new Outcome('cancelled');
    return call.make(stream);
  },

  'listener.native'(call) {
    return { native: Buffer.from(call.handle.server.address()) };
  },

  'listener.close'(call) {
    call.handle.close();
  },

  async 'local.connect'(call) {
    const stream = new Stream(net.connect({ path: addressOf(call.args), allowHalfOpen: true }));
    try {
      await call.wait((resolve, reject) => {
        stream.socket.on('connect', resolve);
        stream.socket.on('error', reject);
        return () => {
          stream.socket.removeListener('connect', resolve);
          stream.socket.removeListener('error', reject);
        };
      });
    } catch (error) {
      stream.close();
      throw error;
    }
    call.make(stream);
  },

  async 'stream.read'(call) {
    return call.read((size) => call.handle.readSome(call, size));
  },

  async 'stream.write'(call) {
    return call.write(async (data) => {
      await call.handle.write(call, [data]);
      return data.length;
    });
  },

  async 'stream.write_vectored'(call) {
    const buffers = [];
    let start = 0;
    for (const length of call.args.lengths) buffers.push(call.args.data.subarray(start, (start += length)));
    try {
      if (buffers.length) await call.handle.write(call, buffers);
    } catch (error) {
      const outcome = outcomeOf(error);
      outcome.results = { length: 0 };
      throw outcome;
    }
    return { length: start };
  },

  'stream.close'(call) {
    call.handle.close();
  },
};

/** What only Unix has. */
const unix = {
  async 'stream.shutdown'(call) {
    if (call.args.how !== 'write') throw new Outcome('unsupported', 'net ends the writing side alone');
    await call.wait((resolve, reject) => {
      call.handle.socket.end((error) => (error ? reject(error) : resolve()));
    });
  },

  async 'fifo.open'(call) {
    const reads = call.args.direction === 'read';
    const fd = await call.wait((resolve, reject) => {
      const flags = reads ? fs.constants.O_RDONLY : fs.constants.O_WRONLY;
      fs.open(call.args.path, flags, (error, opened) => (error ? reject(error) : resolve(opened)));
    });
    try {
      call.make(new Stream(new net.Socket({ fd, readable: reads, writable: !reads })));
    } catch (error) {
      fs.closeSync(fd);
      throw error.code === 'ERR_INVALID_FD_TYPE' ? new Outcome('refused', error.message) : error;
    }
  },
};

run({
  implementation: 'node-net',
  version: process.versions.node,
  features: [
    'close_while_in_use',
    'local.listen.backlog',
    'stream.duplex',
    ...(process.platform === 'win32' ? [] : ['name.path', 'stream.half_close']),
    ...(hasNamespaced() ? ['name.namespaced'] : []),
  ],
  traits: ['accepts_eagerly'],
  operations: process.platform === 'win32' ? local : { ...local, ...unix, ...signals.operations },
  unendable: ['fifo.open'],
  discard(value) {
    value.close();
  },
});
