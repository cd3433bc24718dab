'use strict';
/**
 * Signals of Node.js: listeners of `process`, and `process.kill`.
 *
 * - The module knows the names in `os.constants.signals`: no real-time signals, none sent with a value. A listener is told
 *   the signal and not who sent it.
 * - Listeners are called by the loop, some time after the signal came; nothing tells that one has run (no signal.raise).
 * - A signal can be ignored only by a listener that does nothing; without listeners it has its default. So `ignore` is
 *   such a listener here, as in programs.
 * - A listener that `once` adds is what programs write for `reset`.
 */

const os = require('os');
const path = require('path');
const { Outcome } = require(path.join(__dirname, '..', '..', 'kits', 'node', 'cts_peer.js'));

/** The name as `process.on` takes it. */
function eventOf(name) {
  const event = `SIG${name}`;
  if (!Object.hasOwnProperty.call(os.constants.signals, event)) throw new Outcome('not_found', 'there is no such signal');
  return event;
}

/** Listeners that queue what comes, and the waits of watcher.next, which take it in order. */
class Watcher {
  constructor(events) {
    this.came = [];
    this.waiting = [];
    this.events = [];
    this.listener = (event) => {
      if (this.waiting.length) this.waiting.shift()(event);
      else this.came.push(event);
    };
    try {
      for (const event of events) {
        process.on(event, this.listener);
        this.events.push(event);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close() {
    for (const event of this.events) process.removeListener(event, this.listener);
    for (const resolve of this.waiting.splice(0)) resolve(null);
  }
}

/** What stands for the handler of one signal: the listener, how often it has run, and who waits for that. */
class Hook {
  constructor(event) {
    Object.assign(this, { event, count: 0, waiting: new Set() });
    this.listener = () => {
      this.count++;
      for (const check of this.waiting) check();
    };
  }

  /** A promise of `count`, once it is at least `atLeast`. */
  reached(call, atLeast) {
    return call.wait((resolve) => {
      const check = () => this.count >= atLeast && resolve(this.count);
      this.waiting.add(check);
      check();
      return () => this.waiting.delete(check);
    });
  }
}

const hooks = new Map(); // event -> Hook

function send(call, target) {
  const signal = call.args.signal === undefined ? 0 : eventOf(call.args.signal);
  try {
    process.kill(target, signal);
  } catch (error) {
    throw error.code === 'ERR_INVALID_ARG_TYPE' ? new Outcome('invalid_argument', error.message) : error;
  }
}

exports.operations = {
  'signal.number'(call) {
    return { number: os.constants.signals[eventOf(call.args.signal)] };
  },

  'signal.send'(call) {
    send(call, call.args.pid);
  },

  'signal.send_group'(call) {
    send(call, -call.args.group);
  },

  'signal.set_handler'(call) {
    const hook = new Hook(eventOf(call.args.signal));
    const former = hooks.get(hook.event);
    if (call.args.action === 'ignore') hook.listener = () => {};
    if (call.args.action !== 'default') process[call.args.reset ? 'once' : 'on'](hook.event, hook.listener);
    hooks.set(hook.event, hook);
    // Not before: the signal would have its default in between.
    if (former) process.removeListener(hook.event, former.listener);
  },

  async 'signal.hooked'(call) {
    const event = eventOf(call.args.signal);
    if (!hooks.has(event)) hooks.set(event, new Hook(event));
    const count = await hooks.get(event).reached(call, call.args.at_least || 0);
    return count ? { count, signal: call.args.signal } : { count };
  },

  'signal.watch'(call) {
    if (!call.args.signals.length) throw new Outcome('invalid_argument', 'nothing to listen for');
    call.make(new Watcher(call.args.signals.map(eventOf)));
  },

  async 'watcher.next'(call) {
    const watcher = call.handle;
    const event = watcher.came.length ? watcher.came.shift() : await call.wait((resolve) => {
      watcher.waiting.push(resolve);
      return () => (watcher.waiting = watcher.waiting.filter((other) => other !== resolve));
    });
    if (event === null) throw new Outcome('cancelled');
    return { signal: event.slice('SIG'.length) };
  },

  'watcher.close'(call) {
    call.handle.close();
  },
};
