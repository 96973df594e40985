// The line one writes in: drafts, typing notices, sending.

import { byId, setText } from '../dom.js';
import { listNames } from '../text.js';

const TYPING_MS = 20_000;
const TYPING_AGAIN_MS = 8_000;

export class Composer {
  constructor({ api, outbox, session }) {
    this.api = api;
    this.outbox = outbox;
    this.userId = session.userId;
    this.room = null;
    this.drafts = new Map();
    this.typingSince = 0;
    this.field = byId('message');
    this.field.addEventListener('input', () => this.typed());
    this.field.addEventListener('keydown', (event) => this.key(event));
    this.field.addEventListener('blur', () => this.stopTyping());
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
  }

  show(room) {
    if (this.room !== room) {
      this.stopTyping();
      if (this.room) this.drafts.set(this.room.id, this.field.value);
      this.room = room;
      this.field.value = this.drafts.get(room.id) ?? '';
      this.fit();
    }
    byId('composer').hidden = room.encrypted;
    byId('message-hint').hidden = room.encrypted;
    byId('encrypted-note').hidden = !room.encrypted;
    this.field.placeholder = `Message ${room.name}`;
    this.renderTyping();
  }

  renderTyping() {
    const names = this.room.typing.map((id) => this.room.memberName(id));
    const text = names.length === 0 ? '' : `${listNames(names)} ${names.length === 1 ? 'is' : 'are'} typing`;
    setText(byId('typing'), text);
  }

  focus() {
    if (!this.room?.encrypted) this.field.focus({ preventScroll: true });
  }

  key(event) {
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
    if (!text || !this.room || this.room.encrypted) return;
    const emote = text.startsWith('/me ');
    this.outbox.add(this.room.id, { msgtype: emote ? 'm.emote' : 'm.text', body: emote ? text.slice(4) : text });
    this.field.value = '';
    this.drafts.delete(this.room.id);
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
