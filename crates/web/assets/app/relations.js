// How the events of a room hang together: edits, reactions, replies, threads.
//
// What the server bundles with an event says how things stood when it answered;
// what comes later is added here. Everything in an event may be anything.

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const idOf = (value) => (typeof value === 'string' && value !== '' ? value : null);

/** What an event says of another one; an empty object where it says nothing. */
export function relationOf(event) {
  const relation = event.content?.['m.relates_to'];
  return isObject(relation) ? relation : {};
}

const related = (event, kind) => {
  const relation = relationOf(event);
  return relation.rel_type === kind ? idOf(relation.event_id) : null;
};

/** The message that this one replaces, or null. */
export const editedId = (event) => related(event, 'm.replace');

/** The first message of the thread that this one belongs to, or null. */
export const threadOf = (event) => related(event, 'm.thread');

/** The message that this one answers, or null; in a thread only a real answer counts. */
export function repliedId(event) {
  const relation = relationOf(event);
  if (relation.rel_type === 'm.thread' && relation.is_falling_back === true) return null;
  return idOf(relation['m.in_reply_to']?.event_id);
}

/** What a message says now, given its newest edit. */
export function contentOf(event, edit) {
  const renewed = edit?.content?.['m.new_content'];
  return isObject(renewed) ? renewed : (event.content ?? {});
}

export class Relations {
  constructor(ownId) {
    this.ownId = ownId;
    this.clear();
  }

  clear() {
    /** Edits by the message that they replace, by any sender. */
    this.edits = new Map();
    /** Message, then key, then sender: the reaction's own id. */
    this.marks = new Map();
    /** First message of a thread: its count, its newest message, whether this account wrote in it. */
    this.threads = new Map();
    this.known = new Map();
  }

  /**
   * Takes an event. `live` when it comes after everything that was known; `together`
   * are the ids of the same answer, whose bundles count one another already.
   */
  add(event, { live = false, together = new Set() } = {}) {
    this.addBundled(event);
    const id = event.event_id;
    if (this.known.has(id)) return;
    const edited = editedId(event);
    const root = threadOf(event);
    if (edited !== null) {
      this.addEdit(edited, event);
      this.known.set(id, () => this.edits.set(edited, this.edits.get(edited)?.filter((one) => one.event_id !== id) ?? []));
    } else if (event.type === 'm.reaction') this.addMark(event);
    else if (root !== null) {
      if (live && !together.has(root)) this.addReply(root, event);
      this.known.set(id, () => this.removeReply(root, id));
    }
  }

  addBundled(event) {
    const bundle = event.unsigned?.['m.relations'];
    if (!isObject(bundle)) return;
    const edit = bundle['m.replace'];
    if (isObject(edit) && idOf(edit.event_id)) this.addEdit(event.event_id, edit);
    const thread = bundle['m.thread'];
    if (!isObject(thread) || !Number.isSafeInteger(thread.count)) return;
    this.threads.set(event.event_id, {
      count: thread.count,
      latest: isObject(thread.latest_event) ? thread.latest_event : null,
      participated: thread.current_user_participated === true,
    });
  }

  addEdit(target, edit) {
    const edits = this.edits.get(target) ?? [];
    if (!edits.some((one) => one.event_id === edit.event_id)) this.edits.set(target, [...edits, edit]);
  }

  addMark(event) {
    const target = related(event, 'm.annotation');
    const key = relationOf(event).key;
    if (target === null || typeof key !== 'string' || key === '') return;
    const keys = getOrMake(this.marks, target, () => new Map());
    const senders = getOrMake(keys, key, () => new Map());
    if (!senders.has(event.sender)) senders.set(event.sender, event.event_id);
    this.known.set(event.event_id, () => senders.get(event.sender) === event.event_id && senders.delete(event.sender));
  }

  addReply(root, event) {
    const thread = this.threads.get(root) ?? { count: 0, latest: null, participated: false };
    const participated = thread.participated || event.sender === this.ownId;
    this.threads.set(root, { count: thread.count + 1, latest: event, participated });
  }

  removeReply(root, id) {
    const thread = this.threads.get(root);
    if (!thread) return;
    const latest = thread.latest?.event_id === id ? null : thread.latest;
    if (thread.count <= 1) this.threads.delete(root);
    else this.threads.set(root, { ...thread, count: thread.count - 1, latest });
  }

  /** A message was deleted: it no longer edits, marks or answers anything. */
  remove(id) {
    this.known.get(id)?.();
    this.known.delete(id);
    this.edits.delete(id);
  }

  /** The newest edit of a message by its own author, or null. */
  editOf(event) {
    const own = (this.edits.get(event.event_id) ?? [])
      .filter((edit) => edit.sender === event.sender && edit.type === event.type && isObject(edit.content?.['m.new_content']));
    const newer = (a, b) => (a.origin_server_ts - b.origin_server_ts || (a.event_id < b.event_id ? -1 : 1));
    return own.sort(newer).at(-1) ?? null;
  }

  /** @returns {{key: string, senders: string[], own: string|null}[]} most used first */
  reactionsTo(id) {
    return [...(this.marks.get(id) ?? new Map())]
      .map(([key, senders]) => ({ key, senders: [...senders.keys()], own: senders.get(this.ownId) ?? null }))
      .filter(({ senders }) => senders.length > 0)
      .sort((a, b) => b.senders.length - a.senders.length);
  }

  /** How the thread below a message stands, or null where there is none. */
  threadBelow(id) {
    return this.threads.get(id) ?? null;
  }
}

function getOrMake(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}
