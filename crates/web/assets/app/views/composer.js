// The line one writes in: drafts, typing notices, sending.

import { byId, setText } from '../dom.js';
import { roomHash } from '../router.js';
import { listNames, plain } from '../text.js';
import { answerTo, editOf, messageOf } from '../write.js';
import { summarize } from './message.js';

const TYPING_MS = 20_000;
const TYPING_AGAIN_MS = 8_000;

export class Composer {
  constructor({ api, outbox, session }) {
    this.api = api;
    this.outbox = outbox;
    this.userId = session.userId;
    this.room = null;
    this.rootId = null;
    /** What the next message answers or replaces: `{kind: 'answer'|'edit', event}`, or null. */
    this.target = null;
    this.drafts = new Map();
    this.typingSince = 0;
    this.field = byId('message');
    this.field.addEventListener('input', () => this.typed());
    this.field.addEventListener('keydown', (event) => this.key(event));
    this.field.addEventListener('blur', () => this.stopTyping());
    byId('composer-cancel').addEventListener('click', () => this.cancel());
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
  }

  show(room, rootId) {
    if (this.room !== room || this.rootId !== rootId) {
      this.stopTyping();
      if (this.room && this.target?.kind !== 'edit') this.drafts.set(this.place, this.field.value);
      this.room = room;
      this.rootId = rootId;
      this.setTarget(null);
      this.field.value = this.drafts.get(this.place) ?? '';
      this.fit();
    }
    byId('composer').hidden = room.closed;
    byId('message-hint').hidden = room.closed;
    byId('encrypted-note').hidden = !room.encrypted;
    byId('replaced-note').hidden = room.replacement === null;
    if (room.replacement !== null) byId('replaced-link').href = roomHash(room.replacement, false);
    this.field.placeholder = rootId === null ? `Message ${room.name}` : 'Reply in this thread';
    this.renderTyping();
  }

  get place() {
    return `${this.room.id} ${this.rootId ?? ''}`;
  }

  /** The next message will answer this one. */
  answer(event) {
    this.leaveEdit();
    this.setTarget({ kind: 'answer', event });
    this.focus();
  }

  /** The next message will replace this one, which says `content` now. */
  edit(event, content) {
    if (this.target?.kind !== 'edit') this.drafts.set(this.place, this.field.value);
    this.setTarget({ kind: 'edit', event });
    this.field.value = typeof content.body === 'string' ? content.body : '';
    this.fit();
    this.focus();
  }

  cancel() {
    this.leaveEdit();
    this.setTarget(null);
    this.focus();
  }

  // What was written before the edit began comes back.
  leaveEdit() {
    if (this.target?.kind !== 'edit') return;
    this.field.value = this.drafts.get(this.place) ?? '';
    this.fit();
  }

  setTarget(target) {
    this.target = target;
    byId('composer-target').hidden = target === null;
    if (target === null) return;
    const name = plain(this.room.memberName(target.event.sender), 40);
    const words = target.kind === 'edit' ? 'Editing: ' : `Replying to ${name}: `;
    setText(byId('composer-target-text'), words + summarize(target.event));
  }

  renderTyping() {
    const names = this.room.typing.map((id) => this.room.memberName(id));
    const text = names.length === 0 ? '' : `${listNames(names)} ${names.length === 1 ? 'is' : 'are'} typing`;
    setText(byId('typing'), text);
  }

  focus() {
    if (!this.room?.closed) this.field.focus({ preventScroll: true });
  }

  key(event) {
    if (event.key === 'Escape' && this.target) {
      event.preventDefault();
      this.cancel();
      return;
    }
    // Enter ends a word in some input methods, and is a plain key on phones.
    const plainEnter = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (!plainEnter || matchMedia('(pointer: coarse)').matches) return;
    event.preventDefault();
    this.send();
  }

  typed() {
    this.fit();
    if (!this.field.value.trim()) this.stopTyping();
    else if (Date.now() - this.typingSince > TYPING_AGAIN_MS) {
      this.typingSince = Date.now();
      this.notice(true);
    }
  }

  stopTyping() {
    if (this.typingSince === 0) return;
    this.typingSince = 0;
    this.notice(false);
  }

  notice(typing) {
    // A lost typing notice is not worth a word to anybody.
    this.api.typing(this.room.id, this.userId, typing, TYPING_MS).catch(() => {});
  }

  send() {
    const text = this.field.value.trim();
    if (!text || !this.room || this.room.closed) return;
    const { room, rootId, target } = this;
    const message = messageOf(text, room);
    const content = target?.kind === 'edit'
      ? editOf(target.event, message)
      : answerTo(target?.event ?? null, rootId, room, message);
    this.outbox.add(room.id, content);
    this.field.value = target?.kind === 'edit' ? (this.drafts.get(this.place) ?? '') : '';
    this.drafts.delete(this.place);
    this.setTarget(null);
    this.fit();
    this.stopTyping();
    this.field.focus({ preventScroll: true });
  }

  // Grows with the text, up to the height the stylesheet allows.
  fit() {
    this.field.style.height = 'auto';
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }
}
