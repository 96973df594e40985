// What stands in the middle while no joined room is open: the start, an
// invitation, or a room one could join.

import { explain } from '../api.js';
import { avatar, byId, reconcile, setText, showText } from '../dom.js';
import { go, roomHash } from '../router.js';
import { localpart, plain } from '../text.js';
import { toast } from './notify.js';

export class Door {
  constructor({ api, store, session }) {
    this.api = api;
    this.store = store;
    this.session = session;
    this.address = null;
    byId('door-accept').addEventListener('click', () => this.enter());
    byId('door-decline').addEventListener('click', () => this.turnAway());
  }

  /** Without a room in the address, or while the room in it is on its way. */
  showStart(opening) {
    byId('start').hidden = false;
    byId('door').hidden = true;
    const { store, session } = this;
    const rooms = store.joined().length;
    const invited = store.invited().length;
    const loading = opening || !store.synced;
    byId('start').classList.toggle('loading', loading);
    setText(byId('start-title'), opening ? 'Opening the room…' : rooms > 0 ? 'Pick a room' : `Welcome, ${localpart(session.userId)}`);
    setText(byId('start-text'), opening ? 'One moment, please.' : startText(store.synced, rooms, invited));
    byId('start-create').hidden = loading;
    byId('start-find').hidden = loading;
  }

  /** A room this account is invited to, or not in at all. */
  showRoom(address) {
    byId('start').hidden = true;
    byId('door').hidden = false;
    if (this.address !== address) showText(byId('door-error'), '');
    this.address = address;
    const room = this.store.find(address);
    const gone = room ? null : this.store.gone.get(address);
    byId('door-accept').hidden = isBan(gone);
    if (gone) {
      this.showGone(gone, address);
      return;
    }
    const invited = room?.membership === 'invite';
    const name = room?.name ?? (address.startsWith('!') ? 'this room' : address);
    reconcile(byId('door-avatar'), [{ key: name, sig: '', build: () => avatar(room ? name : address.replace(/^!.*/, '?'), room?.id ?? address, 'large') }]);
    setText(byId('door-title'), invited ? name : `Join ${name}?`);
    setText(byId('door-text'), invited ? inviteText(room) : `You are not in this room yet. If it is open to everyone, you can join. If not, somebody inside has to invite ${this.session.userId}: this page then shows the invitation by itself.`);
    setText(byId('door-accept'), invited ? 'Accept' : 'Join');
    setText(byId('door-decline'), invited ? 'Decline' : 'Not now');
  }

  /** A room that somebody has shown this account out of. */
  showGone(gone, id) {
    const { name, by, event } = gone;
    const reason = plain(event.content?.reason);
    reconcile(byId('door-avatar'), [{ key: name, sig: '', build: () => avatar(name, id, 'large') }]);
    setText(byId('door-title'), `You ${isBan(gone) ? 'are banned' : 'were removed'} from ${name}`);
    const next = isBan(gone) ? 'You cannot join until the ban is lifted.' : 'You can come back if the room is open to everyone, or if somebody invites you.';
    setText(byId('door-text'), `${by} has decided so${reason ? `: ${reason}` : ''}. ${next}`);
    setText(byId('door-accept'), 'Join again');
    setText(byId('door-decline'), 'Close');
  }

  async enter() {
    await this.attempt(async () => {
      const { room_id: roomId } = await this.api.join(this.address);
      this.store.expect(roomId);
      go(roomHash(roomId), { replace: true });
      // The address may be the room's id already: then nothing has moved.
      this.store.emit('rooms');
    });
  }

  async turnAway() {
    const room = this.store.find(this.address);
    if (room?.membership !== 'invite') {
      go('#/');
      return;
    }
    await this.attempt(async () => {
      await this.api.leave(room.id);
      this.store.drop(room.id);
      toast('Invitation declined');
      go('#/', { replace: true });
    });
  }

  async attempt(act) {
    const buttons = [byId('door-accept'), byId('door-decline')];
    if (buttons[0].getAttribute('aria-disabled') === 'true') return;
    showText(byId('door-error'), '');
    for (const button of buttons) button.setAttribute('aria-disabled', 'true');
    try {
      await act();
    } catch (error) {
      const unknown = error.status === 404 ? 'There is no such room. Is the address right?' : null;
      showText(byId('door-error'), unknown ?? explain(error));
    } finally {
      for (const button of buttons) button.removeAttribute('aria-disabled');
    }
  }
}

const isBan = (gone) => gone?.event.content?.membership === 'ban';

function startText(synced, rooms, invited) {
  if (!synced) return 'Loading your rooms…';
  if (invited > 0) return 'Somebody has invited you: have a look at the invitations in the list.';
  if (rooms > 0) return 'Choose one from the list, or make a new one.';
  return 'You have no rooms yet. Create the first one, then open a second window and invite somebody: yourself under another name will do.';
}

function inviteText(room) {
  const inviter = room.inviter;
  const who = inviter ? `${room.memberName(inviter)} (${inviter}) invites you to this room.` : 'You are invited to this room.';
  return room.encrypted ? `${who} It is end-to-end encrypted: this page will not be able to show its messages.` : who;
}
