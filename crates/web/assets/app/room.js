// What is known about one room: its state, its people, its messages.
//
// Everything in an event may be anything: fields are checked where they are
// read, and maps are keyed with Map, never with plain objects.

import { Relations, editedId, threadOf } from './relations.js';
import { listNames, localpart, plain } from './text.js';
import { Thread } from './thread.js';

const alphabet = new Intl.Collator();

const SPEAKS = new Set(['m.room.message', 'm.room.encrypted', 'm.sticker']);

/** Whether an event is something a person said, and not a new wording of it. */
export const isMessage = (event) => SPEAKS.has(event.type) && event.state_key === undefined
  && editedId(event) === null && !event.formerly?.edit;

/** The thread that an event is or was in, or null. */
export const threadRootOf = (event) => threadOf(event) ?? event.formerly?.thread ?? null;

const isState = (event) => typeof event.state_key === 'string';

export class Room {
  constructor(id, ownId) {
    this.id = id;
    this.ownId = ownId;
    this.membership = 'join';
    this.state = new Map();
    this.timeline = [];
    this.eventIds = new Set();
    this.prevBatch = null;
    this.generation = 0;
    this.typing = [];
    this.receipts = new Map();
    this.relations = new Relations(ownId);
    /** Threads that somebody has looked at, and how far this account has read in each. */
    this.threads = new Map();
    this.threadReads = new Map();
    /** How far others have read in threads: by thread, then by person. */
    this.threadReceipts = new Map();
    this.counts = { notifications: 0, highlights: 0 };
    this.threadCounts = new Map();
    this.summary = {};
    this.membersLoaded = false;
    this.invitedAt = 0;
    this.names = null;
  }

  // What the server tells

  /** Takes a room's part of `rooms.join` of a sync answer. */
  applyJoined(section) {
    this.membership = 'join';
    for (const event of list(section.state?.events)) this.setState(event);
    const timeline = section.timeline ?? {};
    if (timeline.limited && this.timeline.length > 0) this.forgetTimeline();
    if (this.timeline.length === 0) this.prevBatch = timeline.prev_batch ?? null;
    const fresh = [];
    const together = new Set(list(timeline.events).map((event) => event?.event_id));
    for (const event of list(timeline.events)) {
      this.setState(event);
      if (this.append(event, together)) fresh.push(event);
    }
    this.applyCounts(section);
    if (this.timeline[0]?.type === 'm.room.create') this.prevBatch = null;
    for (const event of list(section.ephemeral?.events)) this.applyEphemeral(event);
    for (const [key, value] of Object.entries(section.summary ?? {})) this.summary[key] = value;
    return fresh;
  }

  /** Takes a room's part of `rooms.invite`: a few stripped state events. */
  applyInvited(section) {
    this.membership = 'invite';
    for (const event of list(section.invite_state?.events)) this.setState(event);
    this.invitedAt = Date.now();
  }

  /** Takes a page of history, newest event first, and where the next begins. */
  prepend(page) {
    for (const event of list(page.state)) this.setStateIfUnknown(event);
    const older = [];
    for (const event of list(page.chunk)) {
      if (typeof event?.event_id !== 'string' || this.eventIds.has(event.event_id)) continue;
      this.eventIds.add(event.event_id);
      this.relations.add(event);
      older.unshift(event);
    }
    this.timeline.unshift(...older);
    this.prevBatch = page.end ?? null;
    return older.length;
  }

  /** Takes the full list of members, which sync sends only in part. */
  applyMembers(events) {
    for (const event of list(events)) this.setStateIfUnknown(event);
    this.membersLoaded = true;
  }

  append(event, together) {
    if (typeof event?.event_id !== 'string' || this.eventIds.has(event.event_id)) return false;
    this.eventIds.add(event.event_id);
    this.timeline.push(event);
    this.relations.add(event, { live: true, together });
    this.threads.get(threadOf(event))?.append(event);
    if (event.type === 'm.room.redaction') this.redact(event);
    return true;
  }

  redact(event) {
    const redacted = event.content?.redacts ?? event.redacts;
    if (typeof redacted !== 'string') return;
    this.relations.remove(redacted);
    for (const target of [this.find(redacted), ...[...this.threads.values()].map((thread) => thread.find(redacted))]) {
      if (!target || target.type === 'm.room.redaction') continue;
      // It loses what tells where it belongs: that is kept for where it is shown.
      target.formerly ??= { thread: threadOf(target), edit: editedId(target) !== null };
      target.content = {};
      target.unsigned = { ...target.unsigned, redacted_because: event };
    }
  }

  /** After a gap the old messages no longer join up: history starts anew. */
  forgetTimeline() {
    this.timeline = [];
    this.eventIds.clear();
    this.generation += 1;
    this.relations.clear();
    this.threads.clear();
  }

  setState(event) {
    if (!isState(event) || typeof event.type !== 'string') return;
    let keys = this.state.get(event.type);
    if (!keys) this.state.set(event.type, (keys = new Map()));
    keys.set(event.state_key, event);
    if (event.type === 'm.room.member') this.names = null;
  }

  setStateIfUnknown(event) {
    if (isState(event) && !this.stateEvent(event.type, event.state_key)) this.setState(event);
  }

  applyEphemeral(event) {
    if (event?.type === 'm.typing') {
      this.typing = list(event.content?.user_ids).filter((id) => typeof id === 'string' && id !== this.ownId);
    } else if (event?.type === 'm.receipt') {
      for (const [eventId, kinds] of Object.entries(event.content ?? {})) {
        for (const [userId, receipt] of Object.entries({ ...kinds?.['m.read'], ...kinds?.['m.read.private'] })) {
          const thread = receipt?.thread_id ?? 'main';
          if (thread === 'main') this.receipts.set(userId, eventId);
          else if (userId === this.ownId) this.threadReads.set(thread, eventId);
          else this.threadReceipts.set(thread, (this.threadReceipts.get(thread) ?? new Map()).set(userId, eventId));
        }
      }
    }
  }

  applyCounts({ unread_notifications: counts, unread_thread_notifications: threads }) {
    if (!counts) return;
    this.counts = countsOf(counts);
    this.threadCounts = new Map(Object.entries(threads ?? {}).map(([root, section]) => [root, countsOf(section)]));
  }

  // What one may ask

  stateEvent(type, key = '') {
    return this.state.get(type)?.get(key);
  }

  content(type, key = '') {
    return this.stateEvent(type, key)?.content ?? {};
  }

  get encrypted() {
    return this.stateEvent('m.room.encryption') !== undefined;
  }

  /** The room that this one was replaced by, or null. */
  get replacement() {
    const id = this.content('m.room.tombstone').replacement_room;
    return typeof id === 'string' && id.startsWith('!') ? id : null;
  }

  /** Whether there is nothing to be written here. */
  get closed() {
    return this.encrypted || this.replacement !== null;
  }

  get alias() {
    const alias = this.content('m.room.canonical_alias').alias;
    return typeof alias === 'string' && alias.startsWith('#') ? alias : null;
  }

  get topic() {
    return plain(this.content('m.room.topic').topic, 500);
  }

  get isPublic() {
    return this.content('m.room.join_rules').join_rule === 'public';
  }

  /** The name to show, by the specification's order of preference. */
  get name() {
    const name = plain(this.content('m.room.name').name, 120);
    if (name) return name;
    if (this.alias) return plain(this.alias, 120);
    const heroes = this.heroes();
    if (heroes.length > 0) {
      const others = this.joinedCount + this.invitedCount - 1;
      return listNames(heroes.map((id) => this.memberName(id)), 3, others);
    }
    const inviter = this.inviter;
    if (inviter) return this.memberName(inviter);
    return 'Empty room';
  }

  heroes() {
    const heroes = list(this.summary['m.heroes']).filter((id) => typeof id === 'string');
    if (heroes.length > 0) return heroes.slice(0, 5);
    return this.members(['join', 'invite']).map((member) => member.id).filter((id) => id !== this.ownId).slice(0, 5);
  }

  get inviter() {
    const own = this.stateEvent('m.room.member', this.ownId);
    return own?.content?.membership === 'invite' ? own.sender : null;
  }

  get joinedCount() {
    return this.countOf('m.joined_member_count', 'join');
  }

  get invitedCount() {
    return this.countOf('m.invited_member_count', 'invite');
  }

  countOf(summaryKey, membership) {
    const counted = this.summary[summaryKey];
    if (!this.membersLoaded && Number.isSafeInteger(counted)) return counted;
    return [...this.memberEvents()].filter(([, event]) => event.content?.membership === membership).length;
  }

  /** @returns {{id: string, name: string, membership: string}[]} by name */
  members(memberships) {
    const found = [];
    for (const [id, event] of this.memberEvents()) {
      const membership = event.content?.membership;
      if (memberships.includes(membership)) found.push({ id, name: this.memberName(id), membership });
    }
    return found.sort((a, b) => alphabet.compare(a.name, b.name));
  }

  memberEvents() {
    return this.state.get('m.room.member') ?? new Map();
  }

  memberName(userId) {
    return this.namesNow().byId.get(userId) ?? localpart(userId);
  }

  // Every line of the timeline asks for a name: they are worked out once.
  namesNow() {
    if (this.names) return this.names;
    const byId = new Map();
    const bearers = new Map();
    for (const [id, event] of this.memberEvents()) {
      const name = plain(event.content?.displayname, 60) || localpart(id);
      byId.set(id, name);
      bearers.set(name, (bearers.get(name) ?? 0) + 1);
    }
    this.names = { byId, bearers };
    return this.names;
  }

  /** The name, with the id where two people in the room share a name. */
  distinctName(userId) {
    const name = this.memberName(userId);
    return this.namesNow().bearers.get(name) > 1 ? `${name} (${userId})` : name;
  }

  /** 'Creator', 'Admin', 'Moderator' or nothing. */
  role(userId) {
    const created = this.stateEvent('m.room.create');
    const version = numberOf(created?.content?.room_version);
    const creators = [created?.sender, ...list(created?.content?.additional_creators)];
    if (version >= 12 && creators.includes(userId)) return 'Creator';
    const users = this.content('m.room.power_levels').users ?? {};
    const level = Object.hasOwn(users, userId) ? numberOf(users[userId]) : 0;
    if (level >= 100) return 'Admin';
    return level >= 50 ? 'Moderator' : '';
  }

  /** Whether this account may delete what others have said. */
  get mayRedact() {
    if (this.role(this.ownId) === 'Creator') return true;
    const levels = this.content('m.room.power_levels');
    const users = levels.users ?? {};
    const level = Object.hasOwn(users, this.ownId) ? users[this.ownId] : levels.users_default;
    return numberOf(level) >= numberOf(levels.redact ?? 50);
  }

  get lastMessage() {
    return this.timeline.findLast(isMessage);
  }

  /** When something last happened, for the order of the list, in ms. */
  get activity() {
    const newest = this.lastMessage ?? this.timeline.at(-1);
    return this.membership === 'invite' ? this.invitedAt : (newest?.origin_server_ts ?? 0);
  }

  /** What the server counts as unread, in the room and in its threads. */
  get unread() {
    return this.counts.notifications + this.unreadInThreads;
  }

  get unreadInThreads() {
    return [...this.threadCounts.values()].reduce((sum, { notifications }) => sum + notifications, 0);
  }

  /** How much of it speaks to this account in particular. */
  get highlights() {
    return [...this.threadCounts.values()].reduce((sum, { highlights }) => sum + highlights, this.counts.highlights);
  }

  /** A loaded event, or null. */
  find(id) {
    return this.timeline.find((event) => event.event_id === id) ?? null;
  }

  /** The newest message of the room itself (`null`) or of one of its threads. */
  newestIn(rootId) {
    return this.timeline.findLast((event) => isMessage(event) && threadRootOf(event) === rootId) ?? null;
  }

  thread(rootId) {
    if (!this.threads.has(rootId)) this.threads.set(rootId, new Thread(this, rootId));
    return this.threads.get(rootId);
  }

  /** Who else has read up to the newest message of the room itself (`null`) or of a thread. */
  seenBy(rootId = null) {
    const events = rootId === null ? this.timeline : this.thread(rootId).events;
    const receipts = rootId === null ? this.receipts : (this.threadReceipts.get(rootId) ?? []);
    const newest = events.findLastIndex((event) => isMessage(event) && threadRootOf(event) === rootId);
    if (newest < 0) return [];
    const below = new Set(events.slice(newest).map((event) => event.event_id));
    const { sender } = events[newest];
    return [...receipts]
      .filter(([userId, eventId]) => userId !== this.ownId && userId !== sender && below.has(eventId))
      .map(([userId]) => userId);
  }
}

const countsOf = (section) => ({
  notifications: Math.max(0, numberOf(section?.notification_count)),
  highlights: Math.max(0, numberOf(section?.highlight_count)),
});

// Old rooms have numbers as text; anything else counts as none.
function numberOf(value) {
  return typeof value === 'number' || typeof value === 'string' ? Number(value) : 0;
}

/** An array as it is, anything else as an empty one. */
export function list(value) {
  return Array.isArray(value) ? value : [];
}
