'use strict';
/**
 * A kit for peers of IPC-CTS on Node.js (16 or newer): everything of the peer protocol but the calls of the library
 * under test. Copy this file and operations.json next to a peer of your own:
 *
 *   const { run } = require('./cts_peer.js');
 *   run({
 *     implementation: 'my-library', version: '1.0', features: ['name.path'], traits: [],
 *     operations: {
 *       async 'local.connect'(call) { call.make(await myLibrary.connect(call.args.name)); },
 *       async 'stream.read'(call) { return call.read((size) => myLibrary.read(call.handle, size)); },
 *     },
 *     discard(value) { value.destroy(); },
 *   });
 *
 * The mode is `async`, lanes are tasks. An operation gets a `Call` with checked arguments and returns its results, or
 * throws: an `Outcome` is its status, an error with a `code` (`EADDRINUSE`) the status of that code, anything else
 * `failed`. Whatever an operation waits for it waits for through `call.wait` or `call.event`, which a reset ends. What
 * the library goes on with all the same is named in `unendable: ['fifo.open']`: a reset is then answered `busy` (6.2).
 * spec/peer_protocol.md is the contract; the numbers in comments here are its paragraphs.
 */

const childProcess = require('child_process');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const tty = require('tty');

const TABLES = JSON.parse(fs.readFileSync(path.join(__dirname, 'operations.json'), 'utf8'));
const PROTOCOL = TABLES.protocol;
const NESTING_MAX = 8;
const LANES_MAX = 16;
const WHY_BYTES_MAX = 500;
const CHUNKS_MAX = 4096;
const LENGTHS_MAX = 64;
const PATTERN_PERIOD = 65521;
const PATTERN_LENGTH_MAX = 2 ** 30;
const LOOP_TURNS = 4; // turns in which an event passes from the poll through the callbacks that wait for it
const U32_MAX = 2 ** 32 - 1;
const CONTROL_OPERATIONS = ['hello', 'configure', 'reset', 'pending'];
const HANDLE_NAME = new RegExp(`^(?:${PROTOCOL.handle_pattern})$`);
const STATUSES = new Set(TABLES.statuses);

/** A status other than `ok`. `results` are reply keys that count whatever the status is. */
class Outcome extends Error {
  constructor(status, why = '', native = 0, results = {}) {
    super(why || status);
    if (!STATUSES.has(status)) throw new Error(`no status ${status}`);
    Object.assign(this, { status, why, native, results });
  }
}

/** A line that is no request (1.4). */
class InvalidLine extends Error {}

/** The status of anything thrown: by the name in its `code`, else `failed` (2.9). */
function outcomeOf(error) {
  if (error instanceof Outcome) return error;
  const code = error && error.code;
  const known = typeof code === 'string' && Object.hasOwnProperty.call(TABLES.errno, code);
  const status = known ? TABLES.errno[code] : 'failed';
  const native = error && Number.isInteger(error.errno) ? Math.abs(error.errno) : 0;
  const why = error && error.message ? `${code || error.name}: ${error.message}` : String(error);
  return new Outcome(status, why, native);
}

// -------------------------------------------------------------------------------------- patterns, digests, bytes

let patternTable = null;
let crcTable = null;

/** T of paragraph 2.4: bits 16 to 23 of a linear congruential generator's first 65521 values. */
function makePatternTable() {
  const table = Buffer.alloc(PATTERN_PERIOD);
  for (let n = 0, x = 1; n < PATTERN_PERIOD; n++) {
    x = (Math.imul(1103515245, x) + 12345) & 0x7fffffff;
    table[n] = (x >>> 16) & 0xff;
  }
  return table;
}

/** The `length` bytes of the pattern that begins at `seed`. */
function pattern(seed, length) {
  patternTable = patternTable || makePatternTable();
  const period = Buffer.concat([patternTable.subarray(seed), patternTable.subarray(0, seed)]);
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, period);
}

/** Eight tables, so that crc32 takes eight bytes a step: table k advances a byte over k zero bytes. */
function makeCrcTables() {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    tables[0][byte] = crc;
  }
  for (let k = 1; k < 8; k++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[k - 1][byte];
      tables[k][byte] = (before >>> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

/** CRC-32 of IEEE 802.3, continued from `before`: zlib's own is not in every supported version. */
function crc32(data, before = 0) {
  crcTable = crcTable || makeCrcTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = crcTable;
  let crc = ~before;
  let at = 0;
  for (; at + 8 <= data.length; at += 8) {
    crc ^= data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24);
    crc = t7[crc & 0xff] ^ t6[(crc >>> 8) & 0xff] ^ t5[(crc >>> 16) & 0xff] ^ t4[crc >>> 24] ^
      t3[data[at + 4]] ^ t2[data[at + 5]] ^ t1[data[at + 6]] ^ t0[data[at + 7]];
  }
  for (; at < data.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ data[at]) & 0xff];
  return ~crc >>> 0;
}

/** Bytes as they travel (1.2): printable ASCII as a string, anything else in base64. */
function encodeBytes(data) {
  return data.every((byte) => byte >= 0x20 && byte < 0x7f) ? data.toString('latin1') : { b64: data.toString('base64') };
}

function decodeBytes(value) {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  if (!isObject(value) || typeof value.b64 !== 'string') throw new Error('neither a string nor {"b64"}');
  const data = Buffer.from(value.b64, 'base64');
  if (data.toString('base64') !== value.b64) throw new Error('no canonical base64'); // Buffer.from forgives anything
  return data;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// ------------------------------------------------------------------------------------------------ strict JSON (1.1)

/** Parses what paragraph 1.1 allows: JSON.parse keeps the last of two equal keys, and rounds integers. */
class StrictParser {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  parse() {
    const value = this.value(1);
    this.space();
    if (this.at !== this.text.length) this.fail('text after the value');
    return value;
  }

  fail(why) {
    throw new InvalidLine(`${why} at character ${this.at}`);
  }

  match(expression) {
    expression.lastIndex = this.at;
    const found = expression.exec(this.text);
    if (found) this.at = expression.lastIndex;
    return found && found[0];
  }

  space() {
    this.match(/[ \t\r\n]*/y);
  }

  value(depth) {
    this.space();
    const next = this.text[this.at];
    if (next === '{' || next === '[') {
      if (depth > NESTING_MAX) this.fail(`nested deeper than ${NESTING_MAX}`);
      this.at++;
      return next === '{' ? this.object(depth) : this.array(depth);
    }
    if (next === '"') return this.string();
    const word = this.match(/true|false|null|-?[0-9][0-9.eE+-]*/y);
    if (word === null) this.fail('no JSON value');
    return word === 'true' ? true : word === 'false' ? false : word === 'null' ? null : this.integer(word);
  }

  integer(word) {
    if (!/^-?(0|[1-9][0-9]{0,15})$/.test(word) || !Number.isSafeInteger(Number(word))) {
      this.fail('no integer within 2^53-1');
    }
    return Number(word);
  }

  string() {
    const literal = this.match(/"(?:[^"\\\u0000-\u001f]|\\.)*"/y);
    if (literal === null) this.fail('no JSON string');
    let text;
    try {
      text = JSON.parse(literal);
    } catch (error) {
      this.fail('no JSON string');
    }
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)) {
      this.fail('an unpaired surrogate');
    }
    return text;
  }

  array(depth) {
    const items = [];
    this.space();
    if (this.match(/\]/y)) return items;
    do items.push(this.value(depth + 1)); while (this.more(']'));
    return items;
  }

  object(depth) {
    const members = Object.create(null); // `__proto__` is a key like any other
    this.space();
    if (this.match(/\}/y)) return members;
    do {
      this.space();
      const key = this.string();
      if (key in members) this.fail('a key twice in one object');
      this.space();
      if (!this.match(/:/y)) this.fail('no colon');
      members[key] = this.value(depth + 1);
    } while (this.more('}'));
    return members;
  }

  /** True after a comma, false after `end`. */
  more(end) {
    this.space();
    const next = this.text[this.at++];
    if (next !== ',' && next !== end) this.fail(`no comma and no ${end}`);
    return next === ',';
  }
}

/** The object on one line, a Buffer without its LF; throws InvalidLine. */
function parseLine(line) {
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line);
  } catch (error) {
    throw new InvalidLine('no UTF-8');
  }
  const value = new StrictParser(text).parse();
  if (!isObject(value)) throw new InvalidLine('not an object');
  return value;
}

// ------------------------------------------------------------------------------------ arguments, from operations.json

function checkInteger(low, high) {
  return (value) => {
    if (!Number.isInteger(value)) throw new Error('no integer');
    if (value < low || value > high) throw new Error('out of range');
    return value;
  };
}

function checkType(type) {
  return (value) => {
    if (typeof value !== type) throw new Error(`no ${type}`);
    return value;
  };
}

function checkList(checkItem) {
  return (value) => {
    if (!Array.isArray(value)) throw new Error('no list');
    return value.map((item) => checkItem(item));
  };
}

function checkEnum(value, spec) {
  if (!spec.values.includes(value)) throw new Error(`none of ${spec.values.join(', ')}`);
  return value;
}

function checkData(value) {
  if (isObject(value) && !('b64' in value)) {
    const seed = checkInteger(0, PATTERN_PERIOD - 1)(value.seed);
    return pattern(seed, checkInteger(0, PATTERN_LENGTH_MAX)(value.length));
  }
  const data = decodeBytes(value);
  if (data.length > PROTOCOL.inline_bytes_max) throw new Error('too many bytes: send a pattern');
  return data;
}

function checkRaw(value) {
  if (!isObject(value) || !['fd', 'handle', 'socket'].includes(value.kind)) throw new Error('no raw handle');
  if (typeof value.value !== 'string' || !/^(0|[1-9][0-9]{0,19})$/.test(value.value) || BigInt(value.value) >> 64n) {
    throw new Error('no decimal string of 64 bits');
  }
  return { kind: value.kind, value: BigInt(value.value) };
}

const CHECK_OF_TYPE = {
  bool: checkType('boolean'),
  u32: checkInteger(0, U32_MAX),
  u64: checkInteger(0, Number.MAX_SAFE_INTEGER),
  i64: checkInteger(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  text: checkType('string'),
  bytes: decodeBytes,
  data: checkData,
  enum: checkEnum,
  raw: checkRaw,
  list_u32: checkList(checkInteger(0, U32_MAX)),
  list_u64: checkList(checkInteger(0, Number.MAX_SAFE_INTEGER)),
  list_text: checkList(checkType('string')),
};

/** Bounds that a type does not say, as operations.toml words them. */
const BOUNDS = {
  'hello protocol': [1, U32_MAX],
  'local.listen mode': [0, 0o777],
  'local.listen backlog': [1, U32_MAX],
  'stream.read buffer': [1, U32_MAX],
  'stream.read chunk': [1, U32_MAX],
  'stream.write buffer': [1, U32_MAX],
};

/** The arguments of `request` as values; throws Outcome `invalid_argument` or `unsupported` (1.4, 2.3). */
function checkArguments(operation, request, features) {
  const args = {};
  for (const spec of TABLES.operations[operation].args) {
    if (!(spec.name in request)) {
      if (spec.optional) continue;
      throw new Outcome('invalid_argument', `${spec.name} is missing`);
    }
    if (spec.feature && !features.has(spec.feature)) {
      throw new Outcome('unsupported', `${spec.name} needs ${spec.feature}, which is not offered`);
    }
    try {
      args[spec.name] = CHECK_OF_TYPE[spec.type](request[spec.name], spec);
      const bounds = BOUNDS[`${operation} ${spec.name}`];
      if (bounds) checkInteger(bounds[0], bounds[1])(args[spec.name]);
    } catch (error) {
      throw new Outcome('invalid_argument', `${spec.name}: ${error.message}`);
    }
  }
  checkTogether(operation, args, features);
  return args;
}

/** Rules that concern more than one argument. */
function checkTogether(operation, args, features) {
  if (operation.startsWith('local.') && args.kind !== 'native' && !features.has(`name.${args.kind}`)) {
    throw new Outcome('unsupported', `name.${args.kind} is not offered`);
  }
  if (args.until === 'exact' && args.max === undefined) throw new Outcome('invalid_argument', 'until exact needs max');
  if (args.lengths && args.lengths.length > LENGTHS_MAX) throw new Outcome('invalid_argument', 'too many lengths');
  if (args.lengths && args.data && args.lengths.reduce((sum, length) => sum + length, 0) !== args.data.length) {
    throw new Outcome('invalid_argument', 'lengths do not add up to the data');
  }
}

// ---------------------------------------------------------------------------------------------------------- calls

/** What a `stream.read` has consumed so far, and whether its `until` holds (2.5). */
class ReadProgress {
  constructor(args) {
    this.until = args.until;
    this.max = args.max !== undefined ? args.max : args.until === 'end' ? Number.MAX_SAFE_INTEGER : 65536;
    this.buffer = args.buffer || 65536;
    this.chunk = args.chunk;
    Object.assign(this, { length: 0, crc: 0, calls: 0, data: [], chunks: [], chunkCrc: 0, chunkLength: 0 });
  }

  /** Bytes to ask the library for, or null if there is nothing more to ask. */
  nextSize() {
    if (this.until === 'some' ? this.calls > 0 : this.length >= this.max) return null;
    return Math.min(this.max - this.length, this.buffer);
  }

  /** Takes what the library returned; nothing, where something was asked for, is the end. */
  feed(data, asked) {
    this.calls++;
    if (data.length === 0 && asked > 0) throw new Outcome('end');
    this.length += data.length;
    this.crc = crc32(data, this.crc);
    if (this.length <= PROTOCOL.inline_bytes_max) this.data.push(Buffer.from(data));
    else this.data = [];
    if (this.chunk) this.feedChunks(data);
  }

  feedChunks(data) {
    for (let at = 0; at < data.length && this.chunks.length < CHUNKS_MAX;) {
      const part = data.subarray(at, at + this.chunk - this.chunkLength);
      this.chunkCrc = crc32(part, this.chunkCrc);
      this.chunkLength += part.length;
      at += part.length;
      if (this.chunkLength === this.chunk) {
        this.chunks.push(this.chunkCrc);
        this.chunkCrc = this.chunkLength = 0;
      }
    }
  }

  results() {
    const results = { length: this.length, crc32: this.crc };
    if (this.length <= PROTOCOL.inline_bytes_max) results.data = Buffer.concat(this.data);
    if (this.chunk) results.chunks = this.chunkLength ? [...this.chunks, this.chunkCrc] : this.chunks;
    return results;
  }
}

/** One request while it runs: checked arguments in `args`, the value behind `on` in `handle`. */
class Call {
  constructor(request, args) {
    Object.assign(this, { id: request.id, operation: request.op, args, handle: undefined, entry: null });
    Object.assign(this, { names: {}, made: {}, cancelled: false, cancelWait: null });
  }

  /** Ends what it waits for, and what it would wait for from now on. */
  cancel() {
    this.cancelled = true;
    if (this.cancelWait) this.cancelWait();
  }

  /** Gives the handle named in request key `key` its value; it gets its name when the operation has returned. */
  make(value, key = 'as') {
    this.made[key] = value;
  }

  /**
   * A promise for what `start(resolve, reject)` begins; a reset rejects it as `cancelled`. A function that `start`
   * returns is called when the wait is over, however it ended.
   */
  wait(start) {
    let cleanUp;
    const promise = new Promise((resolve, reject) => {
      this.cancelWait = () => reject(new Outcome('cancelled'));
      if (this.cancelled) this.cancelWait();
      else cleanUp = start(resolve, reject);
    });
    return promise.finally(() => cleanUp && cleanUp());
  }

  /** Waits for the first of several events of an emitter, and answers its name and first argument. */
  event(emitter, names) {
    return this.wait((resolve) => {
      const listeners = names.map((name) => [name, (argument) => resolve({ name, argument })]);
      for (const [name, listener] of listeners) emitter.on(name, listener);
      return () => listeners.forEach(([name, listener]) => emitter.removeListener(name, listener));
    });
  }

  /** Performs `stream.read` with `readSome(size)`, a promise of a Buffer, an empty one at the end of the stream. */
  async read(readSome) {
    const progress = new ReadProgress(this.args);
    try {
      for (let size = progress.nextSize(); size !== null; size = progress.nextSize()) {
        progress.feed(await readSome(size), size);
      }
    } catch (error) {
      throw withResults(error, progress.results());
    }
    return progress.results();
  }

  /** Performs `stream.write` with `writeSome(buffer)`, a promise of how many bytes the library accepted. */
  async write(writeSome) {
    const data = this.args.data;
    let length = 0;
    try {
      do length += await writeSome(data.subarray(length, length + (this.args.buffer || data.length)));
      while (length < data.length);
    } catch (error) {
      throw withResults(error, { length });
    }
    return { length };
  }
}

function withResults(error, results) {
  const outcome = outcomeOf(error);
  outcome.results = { ...results, ...outcome.results };
  return outcome;
}

// ----------------------------------------------------------------------------------------------------- the channel

/** Opens descriptor `fd` again, close-on-exec, or null: a socket cannot be opened, not every system has the file. */
function reopened(fd, flags) {
  for (const directory of ['/proc/self/fd', '/dev/fd']) {
    try {
      return fs.openSync(`${directory}/${fd}`, flags);
    } catch (error) {
      continue;
    }
  }
  return null;
}

/**
 * The requester's lines. What the library prints goes to standard error where the system allows it (1.3). In a child of
 * another peer they travel on a connection instead (1.7).
 */
class Channel {
  constructor() {
    this.control = process.env.CTS_CONTROL;
    delete process.env.CTS_CONTROL;
    this.connection = null;
    this.input = 0;
    this.output = 1;
    this.pieces = [];
    this.pending = 0; // bytes in pieces: of a line whose end has not come
    this.skipping = false;
    globalThis.console = new console.Console(process.stderr);
    Object.defineProperty(process, 'stdout', { configurable: true, get: () => process.stderr });
    if (process.platform !== 'win32' && this.control === undefined) this.move();
  }

  /** Node.js cannot duplicate a descriptor, but opens one again: the lowest free number is the one just closed. */
  move() {
    const input = fs.fstatSync(0).isFile() ? null : reopened(0, 'r');
    const output = fs.fstatSync(1).isFile() ? null : reopened(1, 'w');
    if (input !== null) {
      fs.closeSync(0);
      fs.openSync(os.devNull || '/dev/null', 'r');
      this.input = input;
    }
    if (output !== null) {
      fs.closeSync(1);
      if (reopened(2, 'a') === null) fs.openSync(os.devNull || '/dev/null', 'w');
      this.output = output;
    }
  }

  /** Calls `onLine(buffer)` or `onLine(InvalidLine)` for each line, and ends the process at the end of input (1.6). */
  read(onLine) {
    let stream;
    if (this.control !== undefined) stream = this.connection = net.connect({ path: this.control, allowHalfOpen: true });
    else if (tty.isatty(this.input)) stream = new tty.ReadStream(this.input);
    else if (fs.fstatSync(this.input).isFile()) stream = fs.createReadStream(null, { fd: this.input });
    else stream = new net.Socket({ fd: this.input, readable: true, writable: false });
    stream.on('data', (block) => this.take(block, onLine));
    stream.on('end', () => process.exit(0));
    stream.on('error', (error) => {
      process.stderr.write(`standard input: ${error.message}\n`);
      process.exit(1);
    });
  }

  take(block, onLine) {
    let start = 0;
    for (let end = block.indexOf(10); end >= 0; end = block.indexOf(10, start)) {
      this.keep(block.subarray(start, end), onLine);
      if (!this.skipping) onLine(this.line());
      this.forget();
      this.skipping = false;
      start = end + 1;
    }
    this.keep(block.subarray(start), onLine);
  }

  /** Keeps a piece of a line, unless the line is too long: that is said once, and the rest of it is dropped. */
  keep(piece, onLine) {
    if (this.skipping) return;
    this.pending += piece.length;
    if (this.pending < PROTOCOL.line_bytes_max) {
      this.pieces.push(piece);
      return;
    }
    this.forget();
    this.skipping = true;
    onLine(new InvalidLine(`a line of more than ${PROTOCOL.line_bytes_max} bytes`));
  }

  line() {
    const line = Buffer.concat(this.pieces);
    return line.length && line[line.length - 1] === 13 ? line.subarray(0, -1) : line;
  }

  forget() {
    this.pieces = [];
    this.pending = 0;
  }

  /** Writes one line, whole. Ends the process if nobody reads any more. */
  write(message) {
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    if (this.connection !== null) {
      this.connection.write(line); // no request comes before it is connected
      return;
    }
    for (let at = 0; at < line.length;) {
      try {
        at += fs.writeSync(this.output, line, at);
      } catch (error) {
        // Only a channel that could not be moved can be in nonblocking mode: someone else set it, and it fills rarely.
        if (error.code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        else process.exit(1);
      }
    }
  }
}

// ------------------------------------------------------------------------------------------------------- processes

/** A child process that is a peer, in a process group of its own. Node.js reaps it and hands nothing else down. */
class Child {
  static async start(control) {
    const child = new Child();
    const argv = [...process.execArgv, ...process.argv.slice(1)];
    const env = { ...process.env, CTS_CONTROL: control };
    child.process = childProcess.spawn(process.execPath, argv, { detached: true, stdio: ['ignore', 2, 2], env });
    child.ended = new Promise((resolve) => child.process.on('exit', (code, signal) => resolve({ code, signal })));
    await new Promise((resolve, reject) => child.process.on('spawn', resolve).on('error', reject));
    return child;
  }

  async close() {
    try {
      if (this.process.exitCode === null && this.process.signalCode === null) process.kill(-this.process.pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error; // it ended, and the event is still on its way
    }
    await this.ended;
  }
}

/** The operations on processes, which every peer has where there are Unix sockets (6.3, 6.4). */
const PROCESS_OPERATIONS = {
  async 'process.spawn'(call) {
    const child = await Child.start(call.args.control);
    call.make(child);
    return { pid: child.process.pid };
  },

  async 'process.wait'(call) {
    const { code, signal } = await call.wait((resolve) => {
      call.handle.ended.then(resolve);
    });
    return signal === null ? { code } : { signal: signal.slice('SIG'.length) };
  },

  async 'process.close'(call) {
    for (const user of call.entry.users) {
      if (user !== call) user.cancel();
    }
    await call.handle.close();
  },
};

// ----------------------------------------------------------------------------------------------------- the runtime

class Runtime {
  constructor(peer) {
    this.peer = { mode: 'async', version: '0', features: [], traits: [], unendable: [], discard() {}, ...peer };
    if (process.platform !== 'win32') this.peer.operations = { ...PROCESS_OPERATIONS, ...peer.operations };
    this.features = ['lanes', ...this.peer.features.filter((feature) => feature !== 'lanes')];
    this.featureSet = new Set(this.features);
    this.channel = new Channel();
    this.lanes = new Map(); // name -> promise of its last request
    this.handles = new Map(); // name -> {name, kind, value, users}, or null while the name is reserved
    this.calls = new Map(); // id -> Call: begun and not answered
    this.outstanding = new Map(); // id -> promise of its answer
    this.configured = false;
    this.resetBound = 0;
    this.arrivals = 0;
  }

  start() {
    this.channel.read((line) => this.takeLine(line));
  }

  takeLine(line) {
    let request;
    try {
      if (line instanceof InvalidLine) throw line;
      request = parseLine(line);
      if (!Number.isInteger(request.id) || request.id < 1) throw new InvalidLine('id is no positive integer');
      if (this.outstanding.has(request.id)) throw new InvalidLine(`id ${request.id} is outstanding`);
    } catch (error) {
      this.channel.write({ id: 0, status: 'invalid_argument', why: shorten(error.message) });
      return;
    }
    const arrival = ++this.arrivals;
    let answered;
    const answer = new Promise((resolve) => (answered = resolve));
    this.outstanding.set(request.id, Object.assign(answer, { answered }));
    try {
      this.dispatch(request, arrival);
    } catch (error) {
      this.finish(request, null, outcomeOf(error));
    }
  }

  dispatch(request, arrival) {
    if (typeof request.op !== 'string') throw new Outcome('invalid_argument', 'op is no string');
    const control = CONTROL_OPERATIONS.includes(request.op);
    const lane = request.lane === undefined ? (control ? 'control' : 'a') : request.lane;
    if (typeof lane !== 'string' || !HANDLE_NAME.test(lane)) throw new Outcome('invalid_argument', 'lane is no name');
    if (control !== (lane === 'control')) {
      throw new Outcome('invalid_argument', `${request.op.slice(0, 80)} does not run in lane ${lane}`);
    }
    if (this.outstanding.size > PROTOCOL.outstanding_max) {
      throw new Outcome('out_of_resources', `more than ${PROTOCOL.outstanding_max} requests outstanding`);
    }
    if (!this.lanes.has(lane) && !control && this.lanes.size - this.lanes.has('control') >= LANES_MAX) {
      throw new Outcome('invalid_argument', `more than ${LANES_MAX} lanes`);
    }
    const before = this.lanes.get(lane) || Promise.resolve();
    this.lanes.set(lane, before.then(() => this.serve(request, arrival)));
  }

  async serve(request, arrival) {
    let call = null;
    let result;
    try {
      if (CONTROL_OPERATIONS.includes(request.op)) {
        result = await this.control(request, arrival);
      } else {
        call = this.begin(request, arrival);
        const others = call.entry ? [...call.entry.users].filter((user) => user !== call) : [];
        const answers = others.map((user) => this.outstanding.get(user.id));
        const started = call; // an operation that is no async function may throw at once: that too is announced
        const running = (async () => this.peer.operations[request.op](started))();
        if (request.watch === true) {
          running.catch(() => {}); // it is awaited below, after the announcement
          this.channel.write({ id: call.id, event: 'begun', tid: 0 });
        }
        result = await running;
        if (call.closes) await Promise.all(answers); // 6.1: their replies come first
      }
    } catch (error) {
      result = outcomeOf(error);
    }
    this.finish(request, call, result);
  }

  /** Checks everything, reserves the new names, enters the handle. If it throws, nothing has happened. */
  begin(request, arrival) {
    if (!Object.hasOwnProperty.call(this.peer.operations, request.op) || !TABLES.operations[request.op]) {
      throw new Outcome('unsupported', `operation ${request.op.slice(0, 80)} is not offered`);
    }
    if (request.watch !== undefined && typeof request.watch !== 'boolean') {
      throw new Outcome('invalid_argument', 'watch is no boolean');
    }
    const call = new Call(request, checkArguments(request.op, request, this.featureSet));
    if (arrival < this.resetBound) throw new Outcome('cancelled', 'a reset came before it began');
    const spec = TABLES.operations[request.op];
    call.names = this.newNames(request, spec.makes || {});
    if (spec.on) this.enterHandle(request, call, spec);
    for (const name of Object.values(call.names)) this.handles.set(name, null);
    this.calls.set(call.id, call);
    return call;
  }

  newNames(request, makes) {
    const names = {};
    for (const key of Object.keys(makes)) {
      const name = request[key];
      if (typeof name !== 'string' || !HANDLE_NAME.test(name)) {
        throw new Outcome('invalid_argument', `${key} is no name for a handle`);
      }
      if (this.handles.has(name) || Object.values(names).includes(name)) {
        throw new Outcome('invalid_argument', `the name ${name} is taken`);
      }
      names[key] = name;
    }
    return names;
  }

  enterHandle(request, call, spec) {
    const entry = typeof request.on === 'string' ? this.handles.get(request.on) : null;
    if (!entry || entry.kind !== spec.on) throw new Outcome('invalid_argument', `on: no such ${spec.on}`);
    call.closes = request.op.endsWith('.close');
    call.consumes = Boolean(spec.consumes);
    const endsUse = call.closes && (spec.on === 'process' || this.featureSet.has('close_while_in_use'));
    if (entry.users.size && call.consumes && !endsUse) throw new Outcome('busy', 'another lane is inside of it');
    if (call.closes) this.handles.delete(entry.name); // 6.1: at once
    else if (call.consumes) this.handles.set(entry.name, null); // back when the operation fails
    call.entry = entry;
    call.handle = entry.value;
    entry.users.add(call);
  }

  /** Names the handles that were made, leaves the one that was used, replies. */
  finish(request, call, result) {
    if (call && !(result instanceof Outcome) && Object.keys(call.names).some((key) => !(key in call.made))) {
      result = new Outcome('failed', 'the peer made no handle');
    }
    const succeeded = !(result instanceof Outcome);
    if (call) this.leave(call, succeeded);
    const reply = { id: request.id, status: succeeded ? 'ok' : result.status };
    if (!succeeded && result.native) reply.error = result.native;
    if (!succeeded && result.why) reply.why = shorten(result.why);
    for (const [name, value] of Object.entries((succeeded ? result : result.results) || {})) {
      reply[name] = Buffer.isBuffer(value) ? encodeBytes(value) : value;
    }
    const answer = this.outstanding.get(request.id);
    this.outstanding.delete(request.id);
    this.channel.write(reply);
    answer.answered();
  }

  leave(call, succeeded) {
    this.calls.delete(call.id);
    const makes = TABLES.operations[call.operation].makes || {};
    for (const [key, name] of Object.entries(call.names)) {
      this.handles.delete(name);
      if (succeeded) this.handles.set(name, { name, kind: makes[key], value: call.made[key], users: new Set() });
    }
    if (!call.entry) return;
    call.entry.users.delete(call);
    if (call.consumes && !call.closes) {
      if (succeeded) this.handles.delete(call.entry.name);
      else this.handles.set(call.entry.name, call.entry);
    }
  }

  async control(request, arrival) {
    const args = checkArguments(request.op, request, this.featureSet);
    if (request.op === 'hello') return this.hello(args.protocol);
    if (request.op === 'configure') return this.configure(args.mode);
    if (request.op === 'pending') {
      for (let turn = 0; turn < LOOP_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
      return { ids: [...this.calls.keys()].sort((a, b) => a - b) };
    }
    return this.reset(request, arrival);
  }

  hello(protocol) {
    return {
      protocol: Math.min(protocol, PROTOCOL.version),
      implementation: this.peer.implementation,
      version: this.peer.version,
      os: { win32: 'windows', darwin: 'macos' }[process.platform] || process.platform,
      pid: process.pid,
      lanes: 'task',
      modes: [this.peer.mode],
      operations: Object.keys(TABLES.operations).filter(
        (name) => CONTROL_OPERATIONS.includes(name) || Object.hasOwnProperty.call(this.peer.operations, name)),
      features: this.features,
      traits: this.peer.traits,
    };
  }

  configure(mode) {
    if (mode !== this.peer.mode) throw new Outcome('unsupported', `the mode ${mode} is not offered`);
    if (this.configured || this.handles.size) {
      throw new Outcome('invalid_argument', 'configure comes once, before any handle');
    }
    this.configured = true;
    return { lanes: 'task' };
  }

  async reset(request, arrival) {
    this.resetBound = arrival;
    if ([...this.calls.values()].some((call) => this.peer.unendable.includes(call.operation))) {
      throw new Outcome('busy', 'an operation is under way that nothing can end');
    }
    const others = [...this.outstanding].filter(([id]) => id !== request.id).map(([, answer]) => answer);
    for (const call of this.calls.values()) call.cancel();
    await Promise.all(others);
    const entries = [...this.handles.values()].filter((entry) => entry !== null);
    this.handles.clear();
    for (const { kind, value } of entries) await (kind === 'process' ? value.close() : this.peer.discard(value));
    return {};
  }
}

function shorten(why) {
  return Buffer.from(why).subarray(0, WHY_BYTES_MAX).toString('utf8').replace(/\ufffd+$/, '');
}

/** Serves the requests on standard input; the process ends with it. */
function run(peer) {
  new Runtime(peer).start();
}

module.exports = {
  run, Outcome, InvalidLine, Call, outcomeOf, parseLine, checkArguments, pattern, crc32, encodeBytes, TABLES,
};
