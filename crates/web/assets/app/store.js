// Everything the server has told this window, and who wants to hear of changes.
//
// Topics: `rooms` (the list), `room` (one room, `detail.id`), `presence`,
// `message` (somebody else said something, `detail.room`, `detail.event`),
// `removed` (this account is no longer in a room, `detail.room`, `detail.event`).

import { Room, isMessage, list } from './room.js';

export class Store extends EventTarget {
  constructor(userId) {
    super();
    this.userId = userId;
    this.rooms = new Map();
    this.presence = new Map();
    this.synced = false;
    this.reading = null;
    this.expected = new Set();
    /** Rooms that others have shown this account out of, by id: `{name, by, event}`. */
    this.gone = new Map();
  }

  on(topic, listener) {
    this.addEventListener(topic, (event) => listener(event.detail ?? {}));
  }

  emit(topic, detail) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  joined() {
    return [...this.rooms.values()]
      .filter((room) => room.membership === 'join')
      .sort((a, b) => b.activity - a.activity || a.name.localeCompare(b.name));
  }

  invited() {
    return [...this.rooms.values()].filter((room) => room.membership === 'invite');
  }

  /** A room by its id or its address. */
  find(idOrAlias) {
    const byId = this.rooms.get(idOrAlias);
    if (byId) return byId;
    return [...this.rooms.values()].find((room) => room.alias === idOrAlias) ?? null;
  }

  /** This account has just joined: the room is sure to come with the next sync. */
  expect(id) {
    if (this.rooms.get(id)?.membership !== 'join') this.expected.add(id);
  }

  /** The state a person is in: `online`, `unavailable`, `offline` or unknown. */
  presenceOf(userId) {
    return this.presence.get(userId) ?? { presence: 'unknown', seenAt: 0 };
  }

  /** Takes an answer of /sync; a `whole` one tells everything anew, and nothing in it is news. */
  apply(answer, { whole }) {
    this.synced = true;
    this.applyPresence(list(answer.presence?.events));
    const rooms = answer.rooms ?? {};
    for (const [id, section] of Object.entries(rooms.leave ?? {})) this.applyLeft(id, section);
    for (const [id, section] of Object.entries(rooms.invite ?? {})) this.applyInvited(id, section, whole);
    for (const [id, section] of Object.entries(rooms.join ?? {})) this.applyJoined(id, section, whole);
    if (whole) this.keepOnly(new Set([...Object.keys(rooms.invite ?? {}), ...Object.keys(rooms.join ?? {})]));
    this.emit('rooms');
  }

  keepOnly(ids) {
    for (const id of this.rooms.keys()) {
      if (!ids.has(id)) this.drop(id);
    }
  }

  applyPresence(events) {
    for (const { type, sender, content } of events) {
      if (type === 'm.presence' && typeof sender === 'string') this.setPresence(sender, content);
    }
    if (events.length > 0) this.emit('presence');
  }

  setPresence(userId, content) {
    const ago = Number.isFinite(content?.last_active_ago) ? content.last_active_ago : null;
    this.presence.set(userId, {
      presence: typeof content?.presence === 'string' ? content.presence : 'offline',
      seenAt: ago === null ? 0 : Date.now() - ago,
    });
  }

  applyJoined(id, section, whole) {
    let room = this.rooms.get(id);
    if (!room || room.membership !== 'join' || whole) {
      room = new Room(id, this.userId);
      this.rooms.set(id, room);
    }
    this.expected.delete(id);
    this.gone.delete(id);
    const fresh = room.applyJoined(section);
    this.emit('room', { id });
    if (whole) return;
    for (const event of fresh) {
      if (isMessage(event) && event.sender !== this.userId) this.emit('message', { room, event });
    }
  }

  applyInvited(id, section, whole) {
    const room = new Room(id, this.userId);
    room.applyInvited(section);
    this.rooms.set(id, room);
    this.gone.delete(id);
    this.emit('room', { id });
    if (!whole) this.emit('invited', { room });
  }

  applyLeft(id, section) {
    const events = [...list(section.state?.events), ...list(section.timeline?.events)];
    const event = events.findLast((one) => one?.type === 'm.room.member' && one.state_key === this.userId);
    const room = this.rooms.get(id);
    if (!room) {
      // A ban that was lifted.
      if (event && this.gone.has(id)) Object.assign(this.gone.get(id), { event });
      this.emit('room', { id });
      return;
    }
    this.rooms.delete(id);
    this.expected.delete(id);
    if (event && event.sender !== this.userId) this.gone.set(id, { name: room.name, by: room.memberName(event.sender), event });
    this.emit('room', { id });
    this.emit('removed', { room, event });
  }

  /** Forgets a room at once after leaving it; sync says the same later. */
  drop(id) {
    if (this.rooms.delete(id)) {
      this.emit('room', { id });
      this.emit('rooms');
    }
  }
}
