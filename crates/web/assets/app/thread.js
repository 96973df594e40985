// The messages of one thread, as far as they are loaded.

import { threadOf } from './relations.js';

export class Thread {
  constructor(room, rootId) {
    this.room = room;
    this.rootId = rootId;
    this.root = room.find(rootId);
    this.events = [];
    this.ids = new Set();
    /** Where the next older page begins; undefined before the first one, null after the last. */
    this.next = undefined;
  }

  /** Takes a message that has just come. */
  append(event) {
    if (threadOf(event) !== this.rootId || this.ids.has(event.event_id)) return;
    this.ids.add(event.event_id);
    this.events.push(event);
  }

  /** Takes a page of what relates to the first message, newest first. */
  prepend({ chunk, next_batch: next }) {
    const older = [];
    for (const event of Array.isArray(chunk) ? chunk : []) {
      if (typeof event?.event_id !== 'string') continue;
      this.room.relations.add(event);
      if (threadOf(event) !== this.rootId || this.ids.has(event.event_id)) continue;
      this.ids.add(event.event_id);
      older.unshift(event);
    }
    this.events.unshift(...older);
    this.next = typeof next === 'string' ? next : null;
  }

  setRoot(event) {
    this.room.relations.add(event);
    this.root = event;
  }

  find(id) {
    return id === this.rootId ? this.root : (this.events.find((event) => event.event_id === id) ?? null);
  }

  /** Everything to show, oldest first. */
  get shown() {
    return this.next === null && this.root ? [this.root, ...this.events] : this.events;
  }
}
