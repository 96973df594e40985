// Messages on their way: shown at once, sent in order, tried again with the
// same transaction id until the server has them, so that none is sent twice.

const KEY = 'greenroom.outbox';
const LONGEST_BACKOFF_MS = 20_000;
const ATTEMPTS = 6;

/** Emits `change` with the room's id, and `sent` when the server has taken a message. */
export class Outbox extends EventTarget {
  /** `isKnown(roomId, eventId)` tells whether sync has delivered an event. */
  constructor(api, userId, isKnown) {
    super();
    this.isKnown = isKnown;
    this.api = api;
    this.userId = userId;
    this.items = restore(userId);
    this.busy = new Set();
    this.stopped = false;
    this.timers = new Set();
    addEventListener('online', () => this.flush());
  }

  /** What is still on its way to a room, oldest first. */
  pending(roomId) {
    return this.items.filter((item) => item.roomId === roomId);
  }

  add(roomId, content) {
    const item = {
      txnId: newTxnId(),
      roomId,
      content,
      at: Date.now(),
      status: 'sending',
      eventId: null,
      attempts: 0,
    };
    this.items.push(item);
    this.changed(roomId);
    this.send(roomId);
    return item;
  }

  /** Tries again what has failed; the transaction id stays the same. */
  retry(txnId) {
    const item = this.items.find((one) => one.txnId === txnId);
    if (!item) return;
    item.status = 'sending';
    item.attempts = 0;
    item.held = false;
    this.changed(item.roomId);
    this.send(item.roomId);
  }

  discard(txnId) {
    const item = this.items.find((one) => one.txnId === txnId);
    if (item) this.remove(item);
  }

  /** Sync has delivered an event: its echo is no longer needed. */
  confirm(roomId, events) {
    if (this.items.length === 0) return;
    for (const event of events) {
      const txnId = event?.unsigned?.transaction_id;
      const isEcho = (one) => one.txnId === txnId || (one.eventId !== null && one.eventId === event?.event_id);
      const item = this.items.find((one) => one.roomId === roomId && isEcho(one));
      if (item) this.remove(item);
    }
  }

  /** Sends whatever waits: after a reload, or when the server can be reached again. */
  flush() {
    for (const item of this.items) {
      if (item.status === 'failed' && item.temporary) item.status = 'sending';
      item.attempts = 0;
    }
    for (const roomId of new Set(this.items.map((item) => item.roomId))) {
      this.changed(roomId);
      this.send(roomId);
    }
  }

  /** The account leaves this window, and its unsent words with it. */
  stop() {
    this.items = [];
    this.remember();
    this.halt();
  }

  /**
   * The session has ended by itself. Unsent words wait for the same account to
   * come back: on the same device they are sent as before, on another one the
   * server could not tell a second sending, so their author decides.
   */
  suspend({ sameDevice }) {
    for (const item of this.items) item.held = !sameDevice;
    this.remember();
    this.halt();
  }

  halt() {
    this.stopped = true;
    for (const timer of this.timers) clearTimeout(timer);
  }

  // One message after the other per room, so that they arrive in order.
  async send(roomId) {
    if (this.busy.has(roomId) || this.stopped) return;
    const item = this.items.find((one) => one.roomId === roomId && one.status === 'sending');
    if (!item) return;
    this.busy.add(roomId);
    let pause = 0;
    try {
      const answer = await this.api.send(roomId, 'm.room.message', item.txnId, item.content);
      item.status = 'sent';
      item.eventId = answer.event_id;
      if (this.isKnown(roomId, item.eventId)) this.remove(item);
      this.dispatchEvent(new CustomEvent('sent'));
    } catch (error) {
      pause = this.failed(item, error);
    } finally {
      this.busy.delete(roomId);
    }
    this.changed(roomId);
    if (pause > 0) this.later(() => this.send(roomId), pause);
    else this.send(roomId);
  }

  failed(item, error) {
    item.attempts += 1;
    item.temporary = Boolean(error.temporary);
    if (item.temporary && item.attempts < ATTEMPTS) {
      const backoff = Math.min(1_000 * 2 ** (item.attempts - 1), LONGEST_BACKOFF_MS);
      return Math.max(error.retryAfterMs ?? 0, backoff);
    }
    item.status = 'failed';
    item.error = error;
    return 0;
  }

  later(act, ms) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, ms);
    this.timers.add(timer);
  }

  remove(item) {
    this.items = this.items.filter((one) => one !== item);
    this.changed(item.roomId);
  }

  changed(roomId) {
    this.remember();
    this.dispatchEvent(new CustomEvent('change', { detail: roomId }));
  }

  // Unsent words survive a reload of this window.
  remember() {
    if (this.stopped) return;
    try {
      const items = this.items
        .filter((item) => item.status !== 'sent')
        .map(({ txnId, roomId, content, at, held }) => ({ txnId, roomId, content, at, held }));
      if (items.length === 0) sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, JSON.stringify({ userId: this.userId, items }));
    } catch {
      // Then they last as long as the window.
    }
  }
}

function restore(userId) {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
    if (stored?.userId !== userId) return [];
    return stored.items.map((item) => ({ ...item, status: item.held ? 'failed' : 'sending', eventId: null, attempts: 0 }));
  } catch {
    return [];
  }
}

/** A transaction id that nobody has used. */
export const newTxnId = () => `web-${crypto.randomUUID?.() ?? randomId()}`;

// Browsers offer randomUUID only over HTTPS and on localhost.
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
