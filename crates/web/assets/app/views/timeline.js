// The messages of the open room, and the scrolling that belongs to them.

import { explain } from '../api.js';
import { byId, h, reconcile, setText } from '../dom.js';
import { isMessage } from '../room.js';
import { dayKey, dayLabel, isoTime } from '../text.js';
import { isRedacted, messageNode, noticeOf } from './message.js';

const PAGE = 40;
const GROUP_MS = 5 * 60_000;
const NEAR_BOTTOM_PX = 60;

/** Shows one room at a time; `onBottom` is called when its end is in view. */
export class Timeline {
  constructor({ api, outbox }, onBottom) {
    this.api = api;
    this.outbox = outbox;
    this.room = null;
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

  show(room) {
    if (this.room === room) return;
    if (this.room) this.places.set(this.room.id, this.pinned ? null : this.scroller.scrollTop);
    this.room = room;
    this.broken = false;
    this.unseen = 0;
    this.pinned = true;
    this.render();
    const place = this.places.get(room.id);
    if (typeof place === 'number') {
      this.pinned = false;
      this.scroller.scrollTop = place;
    }
    this.scrolled();
    this.watchTop();
  }

  /** Draws what has changed and keeps the place of reading. */
  render() {
    const { scroller, room } = this;
    if (!room) return;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    const top = scroller.scrollTop;
    const firstBefore = this.first;
    reconcile(this.list, this.items());
    this.first = room.timeline[0]?.event_id;
    this.renderHistory();
    if (this.pinned) this.toBottom();
    else scroller.scrollTop = this.first === firstBefore ? top : scroller.scrollHeight - fromEnd;
  }

  items() {
    const { room } = this;
    const rows = [];
    for (const event of room.timeline) {
      if (isMessage(event)) rows.push({ event, name: room.distinctName(event.sender), state: 'sent' });
      else {
        const text = noticeOf(event, room);
        if (text) rows.push({ event, notice: text });
      }
    }
    for (const item of this.outbox.pending(room.id)) {
      const event = { type: 'm.room.message', sender: room.ownId, content: item.content, origin_server_ts: item.at };
      rows.push({ event, item, name: room.distinctName(room.ownId), state: item.status });
    }
    return rows.flatMap((row, index) => this.draw(row, rows[index - 1], rows[index + 1]));
  }

  draw(row, before, after) {
    const { event } = row;
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
    drawn.push({
      key: txnId ? `txn ${txnId}` : event.event_id,
      sig: JSON.stringify([event.event_id, row.name, first, last, row.state, isRedacted(event)]),
      build: () => messageNode({ event, own, name: row.name, first, last, state: row.state, ...this.failure(row.item) }),
    });
    return drawn;
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
    const atStart = this.room.prevBatch === null;
    this.more.hidden = atStart || this.loading;
    this.status.hidden = !atStart && !this.loading && !this.broken;
    if (this.loading) setText(this.status, 'Loading earlier messages…');
    else if (this.broken) setText(this.status, 'Earlier messages could not be loaded.');
    else if (atStart) setText(this.status, 'This is where the room begins.');
  }

  /** Fetches one page of history; by itself only while nothing went wrong. */
  async loadOlder(asked) {
    const { room } = this;
    if (!room || this.loading || room.prevBatch === null || (this.broken && !asked)) return;
    const { generation } = room;
    this.loading = true;
    this.broken = false;
    this.renderHistory();
    const hadFocus = document.activeElement === this.more;
    try {
      const page = await this.api.messages(room.id, { from: room.prevBatch, limit: PAGE, filter: { lazy_load_members: true } });
      // A gap in sync or another room may have come between.
      if (room.generation === generation) room.prepend(page);
    } catch (error) {
      this.broken = true;
      console.info('history could not be loaded', error.message);
    }
    this.loading = false;
    if (this.room === room) this.render();
    else this.renderHistory();
    if (hadFocus || (asked && document.activeElement === document.body)) this.scroller.focus({ preventScroll: true });
    this.watchTop();
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
