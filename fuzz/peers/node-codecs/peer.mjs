// Codecs of Node.js libraries as a peer of the differential fuzz targets. What travels is in fuzz/README.md.

import { EventEmitter } from "node:events";

import { makeNetstringReader } from "@endo/netstring/reader.js";
import { makeNetstringWriter } from "@endo/netstring/writer.js";
import * as lp from "it-length-prefixed";
import { StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";

const OFFERS = ["varint", "netstring", "content_length"].flatMap((codec) => [`decode ${codec}`, `encode ${codec}`]);

const DECODE = 1;
const ENCODE = 2;
const VARINT = 3;
const NETSTRING = 4;
const CONTENT_LENGTH = 5;
const ACCEPT_OVERLONG = 2;
const FRAME = 0;
const END = 1;
const WOULD_BLOCK = 2;
const MESSAGE_TRUNCATED = 20;
const MESSAGE_TOO_LARGE = 21;
const MALFORMED = 22;
const UNTOLD = 0xfe;
const NOT_OFFERED = 0xff;

const CODEC_LEN = 31;
const ENCODED_MAX = 1 << 17; // bodies that are encoded are made: longer ones are not
const BODY = Buffer.alloc(ENCODED_MAX);
const ANNOUNCED_MAX = 1 << 24; // @endo/netstring takes the memory that a header announces

/** What a source throws when all that has come is read, and more may come. */
const waits = Symbol("no more has come");

function* source(pieces, ends) {
  yield* pieces;
  if (!ends) throw waits;
}

/** it-length-prefixed: a varint, then the message. */
const lengthPrefixed = {
  async decode(pieces, ends, max) {
    const frames = [];
    try {
      const options = { maxDataLength: max };
      for (const frame of lp.decode(source(pieces, ends), options)) frames.push(frame.subarray());
    } catch (error) {
      return { frames, status: this.statusOf(error) };
    }
    return { frames, status: END };
  },
  statusOf(error) {
    if (error === waits) return WOULD_BLOCK;
    if (error.code === "ERR_MSG_DATA_TOO_LONG") return MESSAGE_TOO_LARGE;
    return error.code === "ERR_UNEXPECTED_EOF" ? MESSAGE_TRUNCATED : MALFORMED;
  },
  async encode(body, max) {
    try {
      return lp.encode.single(body, { maxDataLength: max }).subarray();
    } catch (error) {
      return this.statusOf(error);
    }
  },
};

/** @endo/netstring. All its errors are of one kind; what they say tells the end inside a body. */
const netstring = {
  async decode(pieces, ends, max) {
    const frames = [];
    try {
      for await (const frame of makeNetstringReader(source(pieces, ends), { maxMessageLength: max })) frames.push(frame);
    } catch (error) {
      if (error === waits) return { frames, status: WOULD_BLOCK };
      return { frames, status: error.message.startsWith("Unexpected dangling") ? MESSAGE_TRUNCATED : UNTOLD };
    }
    return { frames, status: END };
  },
  async encode(body) {
    let written;
    const output = {
      async next(bytes) {
        written = bytes;
        return { done: false, value: undefined };
      },
    };
    await makeNetstringWriter(output).next(body);
    return written;
  },
};

let turn = null;

/** The next turn of the loop: one promise for all who wait for it. */
function immediate() {
  turn ??= new Promise((resolve) =>
    setImmediate(() => {
      turn = null;
      resolve();
    }),
  );
  return turn;
}

const bytesAsMessage = { name: "application/octet-stream", decode: async (bytes) => bytes };

/** vscode-jsonrpc's readers of messages; the messages are any bytes. They know of no limit and no end inside a message. */
const jsonRpc = {
  async decode(pieces) {
    const frames = [];
    let failed = false;
    const stream = new EventEmitter();
    const reader = new StreamMessageReader(stream, { contentTypeDecoder: bytesAsMessage });
    reader.partialMessageTimeout = 0;
    reader.onError(() => {
      failed = true;
    });
    reader.listen((frame) => frames.push(frame));
    for (const piece of pieces) {
      stream.emit("data", piece);
      if (failed) break;
    }
    // Messages are handed out one a turn of the loop.
    for (let quiet = 0, seen = -1; quiet < 2; quiet = seen === frames.length ? quiet + 1 : 0) {
      seen = frames.length;
      await immediate();
    }
    return { frames, status: failed ? UNTOLD : WOULD_BLOCK };
  },
  async encode(body) {
    const written = [];
    const stream = new EventEmitter();
    stream.write = (data, encoding, done) => {
      written.push(typeof data === "string" ? Buffer.from(data, encoding) : data);
      (done ?? encoding)();
    };
    const writer = new StreamMessageWriter(stream, {
      contentTypeEncoder: { name: "application/octet-stream", encode: async (bytes) => bytes },
    });
    await writer.write(body);
    return Buffer.concat(written);
  },
};

/** What plays a codec; null if nothing does. */
function library(number, flags, varintBytes, max, encodes) {
  if (number === VARINT) return varintBytes === 10 && (encodes || flags & ACCEPT_OVERLONG) ? lengthPrefixed : null;
  if (number === NETSTRING) return max <= ANNOUNCED_MAX ? netstring : null;
  return number === CONTENT_LENGTH ? jsonRpc : null;
}

function decoded({ frames, status }) {
  const answer = Buffer.alloc(frames.reduce((length, frame) => length + 5 + frame.length, 9));
  let at = 0;
  for (const frame of frames) {
    answer.writeUInt32BE(frame.length, at + 1);
    answer.set(frame, at + 5);
    at += 5 + frame.length;
  }
  answer[at] = status;
  return answer;
}

function elements(list, at) {
  const found = [];
  while (at < list.length) {
    const length = list.readUInt32BE(at);
    found.push(list.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

async function answer(request) {
  const what = request[0];
  if ((what !== DECODE && what !== ENCODE) || request.length < 1 + CODEC_LEN) return Buffer.of(NOT_OFFERED);
  const max = Number(request.readBigUInt64BE(24));
  const chosen = library(request[1], request[2], request[3], max, what === ENCODE);
  if (chosen === null) return Buffer.of(NOT_OFFERED);
  const at = 1 + CODEC_LEN;
  if (what === DECODE) return decoded(await chosen.decode(elements(request, at + 1), request[at] !== 0, max));
  const length = Number(request.readBigUInt64BE(at));
  if (length > ENCODED_MAX) return Buffer.of(NOT_OFFERED);
  const trailer = chosen === netstring ? 1 : 0;
  const frame = await chosen.encode(BODY.subarray(0, length), max);
  if (typeof frame === "number") return Buffer.of(frame);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(frame.length - length - trailer, 1);
  const header = frame.subarray(0, frame.length - length - trailer);
  return Buffer.concat([head, header, frame.subarray(frame.length - trailer)]);
}

async function answers(batch) {
  const requests = elements(batch, 4);
  // All at once: what takes turns of the loop takes them together.
  const found = requests.length ? await Promise.all(requests.map(answer)) : OFFERS.map((offer) => Buffer.from(offer));
  const told = Buffer.allocUnsafe(found.reduce((length, one) => length + 4 + one.length, 8));
  told.writeUInt32BE(told.length - 4, 0);
  told.writeUInt32BE(found.length, 4);
  let at = 8;
  for (const one of found) {
    told.writeUInt32BE(one.length, at);
    told.set(one, at + 4);
    at += 4 + one.length;
  }
  return told;
}

let waiting = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  waiting = waiting.length ? Buffer.concat([waiting, chunk]) : chunk;
  while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
    const end = 4 + waiting.readUInt32BE(0);
    process.stdout.write(await answers(waiting.subarray(4, end)));
    waiting = waiting.subarray(end);
  }
}
