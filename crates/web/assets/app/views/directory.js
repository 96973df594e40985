// Finding rooms: the public directory, and joining by address.

import { explain } from '../api.js';
import { avatar, byId, h, nameNode, reconcile, setText } from '../dom.js';
import { go, roomHash } from '../router.js';
import { list } from '../room.js';
import { plain, plural, serverOf } from '../text.js';
import { onSubmit, openDialog, prepareDialog, required, roomAddressOf } from './forms.js';
import { toast } from './notify.js';

const PAGE = 20;
const TYPING_PAUSE_MS = 250;

export class Directory {
  constructor({ api, store, session }) {
    this.api = api;
    this.store = store;
    this.server = serverOf(session.userId);
    this.dialog = byId('directory-dialog');
    this.search = byId('directory-search');
    this.rooms = [];
    this.next = undefined;
    this.asking = 0;
    prepareDialog(this.dialog);
    for (const id of ['open-directory', 'start-find']) byId(id).addEventListener('click', () => this.open());
    byId('directory-more').addEventListener('click', () => this.load());
    this.search.addEventListener('input', () => {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => this.restart(), TYPING_PAUSE_MS);
    });
    onSubmit(byId('join-form'), byId('join-error'), () => this.joinByAddress());
  }

  open() {
    this.search.value = '';
    openDialog(this.dialog, byId('join-address'));
    this.restart();
  }

  restart() {
    this.rooms = [];
    this.next = undefined;
    return this.load();
  }

  async load() {
    const asking = (this.asking += 1);
    setText(byId('directory-status'), 'Looking…');
    try {
      const page = await this.api.publicRooms({ search: this.search.value.trim(), since: this.next, limit: PAGE });
      // Only the newest question counts: somebody may have typed on.
      if (asking !== this.asking) return;
      this.rooms.push(...list(page.chunk));
      this.next = page.next_batch;
      const nothing = this.search.value ? 'No public room matches.' : 'This server lists no public rooms yet. Create one that everyone may enter.';
      setText(byId('directory-status'), this.rooms.length === 0 ? nothing : plural(this.rooms.length, 'room', 'rooms') + (this.next ? ' so far' : ''));
    } catch (error) {
      if (asking === this.asking) setText(byId('directory-status'), explain(error));
    }
    this.render();
  }

  render() {
    byId('directory-more').hidden = !this.next;
    reconcile(byId('directory-list'), this.rooms.map((room) => {
      const here = this.store.rooms.get(room.room_id)?.membership === 'join';
      const alias = plain(room.canonical_alias, 120);
      const name = plain(room.name, 120) || alias || plain(room.room_id);
      return { key: room.room_id, sig: JSON.stringify([name, alias, room.topic, room.num_joined_members, here]), build: () => h('li', { class: 'listing' },
        avatar(name, room.room_id),
        h('div', { class: 'listing-text' },
          h('p', { class: 'listing-name' }, nameNode(name), h('span', { class: 'muted', text: ` · ${plural(room.num_joined_members, 'person', 'people')}` })),
          alias && alias !== name && h('p', { class: 'muted', text: alias }),
          room.topic && h('p', { class: 'listing-topic' }, h('bdi', { text: plain(room.topic, 200) }))),
        h('button', { type: 'button', class: here ? 'secondary' : 'primary', 'aria-label': `${here ? 'Open' : 'Join'} ${name}`, text: here ? 'Open' : 'Join', on: { click: (event) => this.enter(room, here, event.currentTarget) } })) };
    }));
  }

  async enter(room, here, button) {
    try {
      button.setAttribute('aria-disabled', 'true');
      if (!here) {
        const { room_id: joined } = await this.api.join(room.canonical_alias ?? room.room_id);
        this.store.expect(joined);
      }
      this.dialog.close();
      go(roomHash(room.room_id));
    } catch (error) {
      button.removeAttribute('aria-disabled');
      toast(explain(error), 'error');
      setText(byId('directory-status'), explain(error));
    }
  }

  async joinByAddress() {
    const field = byId('join-address');
    const address = roomAddressOf(required(field, 'Please enter the address of a room.'), this.server);
    const known = this.store.find(address);
    const roomId = known?.membership === 'join' ? known.id : (await this.api.join(address)).room_id;
    this.store.expect(roomId);
    this.dialog.close();
    go(roomHash(roomId));
  }
}
