// The messages of the open room, and the scrolling that belongs to them.

import { explain } from '../api.js';
import { byId, h, reconcile, setText } from '../dom.js';
import { contentOf, editedId, threadOf } from '../relations.js';
import { isMessage, threadRootOf } from '../room.js';
import { dayKey, dayLabel, isoTime } from '../text.js';
import { hasActions } from './actions.js';
import { Quotes, quoteNode, reactionsNode, threadNode } from './extras.js';
import { isRedacted, messageNode, noticeOf } from './message.js';
import { toast } from './notify.js';

const PAGE = 40;
const GROUP_MS = 5 * 60_000;
const NEAR_BOTTOM_PX = 60;

/** Shows one room at a time, or one of its threads; `onBottom` is called when its end is in view. */
export class Timeline {
  constructor({ api, outbox }, actions, onBottom) {
    this.api = api;
    this.outbox = outbox;
    this.actions = actions;
    this.quotes = new Quotes(api, () => this.render());
    this.room = null;
    /** The first message of the thread that is shown; null for the room itself. */
    this.rootId = null;
    this.scroller = byId('scroller');
    this.list = byId('timeline');
    this.more = byId('history-more');
    this.status = byId('history-status');
    this.newest = byId('to-newest');
    this.loading = false;
    this.broken = false;
    this.unseen = 0;
    this.pinned = true;
    this.places = new Map();
    this.more.addEventListener('click', () => this.loadOlder(true));
    this.newest.addEventListener('click', () => this.toBottom());
    this.scroller.addEventListener('scroll', () => this.scrolled(onBottom), { passive: true });
    this.top = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && this.loadOlder(false),
      { root: this.scroller, rootMargin: '300px 0px 0px 0px' });
    this.watchTop();
    // When the keyboard of a phone opens, the newest message stays in view.
    new ResizeObserver(() => this.pinned && this.toBottom()).observe(this.scroller);
  }

  show(room, rootId) {
    if (this.room === room && this.rootId === rootId) return;
    if (this.room) this.places.set(this.place, this.pinned ? null : this.scroller.scrollTop);
    this.room = room;
    this.rootId = rootId;
    this.broken = false;
    this.unseen = 0;
    this.pinned = true;
    this.render();
    const place = this.places.get(this.place);
    if (typeof place === 'number') {
      this.pinned = false;
      this.scroller.scrollTop = place;
    }
    this.scrolled();
    this.watchTop();
  }

  get place() {
    return `${this.room.id} ${this.rootId ?? ''}`;
  }

  get thread() {
    return this.rootId === null ? null : this.room.thread(this.rootId);
  }

  get events() {
    return this.thread?.shown ?? this.room.timeline;
  }

  get atStart() {
    return (this.thread ? this.thread.next : this.room.prevBatch) === null;
  }

  /** Draws what has changed and keeps the place of reading. */
  render() {
    const { scroller, room } = this;
    if (!room) return;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    const top = scroller.scrollTop;
    const firstBefore = this.first;
    reconcile(this.list, this.items());
    this.first = this.events[0]?.event_id;
    this.renderHistory();
    if (this.pinned) this.toBottom();
    else scroller.scrollTop = this.first === firstBefore ? top : scroller.scrollHeight - fromEnd;
  }

  items() {
    const { room, rootId } = this;
    const rows = [];
    for (const event of this.events) {
      if (isMessage(event)) {
        if (rootId !== null || threadRootOf(event) === null) {
          rows.push({ event, name: room.distinctName(event.sender), state: 'sent', edit: room.relations.editOf(event) });
        }
      } else {
        const text = rootId === null ? noticeOf(event, room) : null;
        if (text) rows.push({ event, notice: text });
      }
    }
    for (const item of this.outbox.pending(room.id)) this.addPending(item, rows);
    return rows.flatMap((row, index) => this.draw(row, rows[index - 1], rows[index + 1]));
  }

  // An edit on its way is shown where it will be; only a failed one stands for itself.
  addPending(item, rows) {
    const { room } = this;
    const event = { type: 'm.room.message', sender: room.ownId, content: item.content, origin_server_ts: item.at };
    const edited = editedId(event);
    const row = rows.find((one) => edited !== null && one.event.event_id === edited);
    if (row && item.status !== 'failed') Object.assign(row, { edit: event, state: item.status });
    else if (row || (edited === null && threadOf(event) === this.rootId)) {
      rows.push({ event, item, name: room.distinctName(room.ownId), state: item.status });
    }
  }

  draw(row, before, after) {
    const { event, edit } = row;
    const { room } = this;
    const drawn = [];
    if (!before || dayKey(before.event.origin_server_ts) !== dayKey(event.origin_server_ts)) drawn.push(dayItem(event, dayLabel(event.origin_server_ts)));
    if (row.notice) {
      drawn.push({ key: event.event_id, sig: row.notice, build: () => h('li', { class: 'event' }, h('bdi', { text: row.notice })) });
      return drawn;
    }
    const first = !joins(before, row);
    const last = !joins(row, after);
    const own = event.sender === this.room.ownId;
    // An echo and its event share a key, so that the one becomes the other in place.
    const txnId = row.item?.txnId ?? (own ? event.unsigned?.transaction_id : undefined);
    const extras = this.extras(event);
    const mentioned = !own && speaksTo(room.ownId, contentOf(event, edit));
    drawn.push({
      key: txnId ? `txn ${txnId}` : event.event_id,
      sig: JSON.stringify([event.event_id, row.name, first, last, row.state, isRedacted(event), edit?.content, mentioned, extras]),
      build: () => messageNode({
        event, own, name: row.name, first, last, state: row.state, edit, mentioned, ...this.extraNodes(event, extras), ...this.failure(row.item),
      }),
    });
    return drawn;
  }

  extras(event) {
    const { room, rootId } = this;
    if (isRedacted(event)) return {};
    const id = event.event_id;
    const thread = rootId === null && id ? room.relations.threadBelow(id) : null;
    return {
      quote: this.quotes.of(event, room, this.thread),
      reactions: id ? room.relations.reactionsTo(id) : [],
      thread: thread && { ...thread, ...(room.threadCounts.get(id) ?? { notifications: 0, highlights: 0 }) },
    };
  }

  extraNodes(event, { quote, reactions, thread }) {
    const { room } = this;
    const toggle = (key, own) => this.actions.react(room, event.event_id, key, own);
    return {
      quote: quote && quoteNode(quote, (id) => this.goTo(id)),
      reactions: reactions?.length > 0 && reactionsNode(reactions, room, toggle),
      thread: thread && threadNode(thread, room, event.event_id),
      openMenu: hasActions(event, room) && ((button) => this.actions.open(room, event, button)),
    };
  }

  /** Shows a message that is loaded. */
  goTo(id) {
    const node = [...this.list.children].find((one) => one.dataset.eventId === id);
    if (!node) {
      toast('That message is further up. Load earlier messages to see it.');
      return;
    }
    node.scrollIntoView({ block: 'center' });
    node.classList.add('pointed-at');
    node.addEventListener('animationend', () => node.classList.remove('pointed-at'), { once: true });
  }

  failure(item) {
    if (item?.status !== 'failed') return {};
    const button = (text, act) => h('button', { type: 'button', class: 'ghost small', text, on: { click: act } });
    return {
      problem: item.error ? `Not sent. ${explain(item.error)}` : 'Not sent.',
      actions: [button('Try again', () => this.outbox.retry(item.txnId)), button('Discard', () => this.outbox.discard(item.txnId))],
    };
  }

  renderHistory() {
    const { atStart } = this;
    this.more.hidden = atStart || this.loading;
    this.status.hidden = !atStart && !this.loading && !this.broken;
    if (this.loading) setText(this.status, 'Loading earlier messages…');
    else if (this.broken) setText(this.status, 'Earlier messages could not be loaded.');
    else if (atStart) setText(this.status, this.thread ? 'This is where the thread begins.' : 'This is where the room begins.');
  }

  /** Fetches one page of history; by itself only while nothing went wrong. */
  async loadOlder(asked) {
    const { room, rootId } = this;
    if (!room || this.loading || this.atStart || (this.broken && !asked)) return;
    this.loading = true;
    this.broken = false;
    this.renderHistory();
    const hadFocus = document.activeElement === this.more;
    try {
      await (rootId === null ? this.fetchRoom(room) : this.fetchThread(room, room.thread(rootId)));
    } catch (error) {
      this.broken = true;
      console.info('history could not be loaded', error.message);
    }
    this.loading = false;
    if (this.room === room && this.rootId === rootId) this.render();
    else this.renderHistory();
    if (hadFocus || (asked && document.activeElement === document.body)) this.scroller.focus({ preventScroll: true });
    this.watchTop();
  }

  async fetchRoom(room) {
    const { generation } = room;
    const page = await this.api.messages(room.id, { from: room.prevBatch, limit: PAGE, filter: { lazy_load_members: true } });
    // A gap in sync or another room may have come between.
    if (room.generation === generation) room.prepend(page);
  }

  async fetchThread(room, thread) {
    if (!thread.root) thread.setRoot(await this.api.event(room.id, thread.rootId));
    thread.prepend(await this.api.relations(room.id, thread.rootId, { from: thread.next, limit: PAGE }));
  }

  // Watching anew tells even when the top never left the view in between: after
  // a page of nothing but quiet state, or when somebody scrolls very fast.
  watchTop() {
    this.top.unobserve(byId('history'));
    this.top.observe(byId('history'));
  }

  scrolled(onBottom) {
    const { scroller } = this;
    this.pinned = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_BOTTOM_PX;
    if (this.pinned) {
      this.unseen = 0;
      onBottom?.();
    }
    this.renderNewest();
  }

  /** Somebody else's message has come while reading further up. */
  arrived() {
    if (!this.pinned) this.unseen += 1;
    this.renderNewest();
  }

  renderNewest() {
    this.newest.hidden = this.pinned;
    setText(byId('to-newest-text'), this.unseen > 0 ? `${this.unseen} new below` : 'Newest messages');
  }

  toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}

function joins(a, b) {
  if (!a || !b || a.notice || b.notice || a.event.sender !== b.event.sender) return false;
  const gap = b.event.origin_server_ts - a.event.origin_server_ts;
  return gap < GROUP_MS && dayKey(a.event.origin_server_ts) === dayKey(b.event.origin_server_ts);
}

function dayItem(event, label) {
  return { key: `day ${dayKey(event.origin_server_ts)} ${event.event_id ?? ''}`, sig: label, build: () => h('li', { class: 'day' }, h('time', { datetime: isoTime(event.origin_server_ts), text: label })) };
}

function speaksTo(userId, content) {
  const mentions = content?.['m.mentions'];
  return mentions?.room === true || (Array.isArray(mentions?.user_ids) && mentions.user_ids.includes(userId));
}
