// The one long-poll that keeps this window live, and what it says about the
// connection. It survives lost networks, sleeping laptops and server restarts.

import { ConnectionError, MatrixError } from './api.js';

const POLL_MS = 30_000;
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 30_000;

const FILTER = {
  room: {
    timeline: { limit: 30, lazy_load_members: true, unread_thread_notifications: true },
    state: { lazy_load_members: true },
  },
};

/**
 * Emits `status` with `{state: 'connecting'|'online'|'waiting', retryAt}`, `back`
 * when an answer comes after a failure, and `loggedout` with the MatrixError.
 */
export class SyncLoop extends EventTarget {
  constructor(api, store) {
    super();
    this.api = api;
    this.store = store;
    this.since = undefined;
    this.stopped = new AbortController();
    this.current = null;
    this.wake = null;
    this.failures = 0;
    const { signal } = this.stopped;
    addEventListener('online', () => this.retryNow(), { signal });
    // A request that was parked when the network went away may hang for long.
    addEventListener('offline', () => this.current?.abort(), { signal });
    document.addEventListener('visibilitychange', () => !document.hidden && this.retryNow(), { signal });
  }

  start() {
    this.run();
  }

  stop() {
    this.stopped.abort();
    this.current?.abort();
    this.wake?.();
  }

  /** Ends a wait between two attempts. */
  retryNow() {
    this.wake?.();
  }

  async run() {
    this.status('connecting');
    while (!this.stopped.signal.aborted) {
      try {
        const answer = await this.poll();
        if (this.stopped.signal.aborted) return;
        const isBack = this.failures > 0;
        const whole = this.since === undefined;
        this.failures = 0;
        this.since = answer.next_batch;
        this.store.apply(answer, { whole });
        this.status('online');
        if (isBack) this.dispatchEvent(new CustomEvent('back'));
      } catch (error) {
        if (this.stopped.signal.aborted) return;
        if (error instanceof MatrixError && error.loggedOut) {
          this.dispatchEvent(new CustomEvent('loggedout', { detail: error }));
          return;
        }
        await this.recover(error);
      }
    }
  }

  poll() {
    this.current = new AbortController();
    return this.api.sync({
      since: this.since,
      filter: FILTER,
      // After a failure the first answer should come at once, to say we are back.
      timeoutMs: this.since && this.failures === 0 ? POLL_MS : 0,
      presence: document.hidden ? 'unavailable' : 'online',
      signal: this.current.signal,
    });
  }

  async recover(error) {
    this.failures += 1;
    const expected = error instanceof MatrixError || error instanceof ConnectionError || error.name === 'AbortError';
    if (!expected) console.error(error);
    if (error instanceof MatrixError && error.status === 400 && this.since) {
      // The server no longer knows this token: begin again from nothing.
      this.since = undefined;
    }
    const backoff = Math.min(FIRST_BACKOFF_MS * 2 ** (this.failures - 1), LONGEST_BACKOFF_MS);
    const pause = Math.max(error.retryAfterMs ?? 0, backoff * (0.75 + Math.random() / 2));
    this.status('waiting', Date.now() + pause);
    await this.sleep(pause);
    this.status('connecting');
  }

  sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const self = this;
      function done() {
        clearTimeout(timer);
        self.wake = null;
        resolve();
      }
      this.wake = done;
    });
  }

  status(state, retryAt = 0) {
    this.dispatchEvent(new CustomEvent('status', { detail: { state, retryAt } }));
  }
}
