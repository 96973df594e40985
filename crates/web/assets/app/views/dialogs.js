// Creating a room, inviting, leaving, and one's own account.

import { explain } from '../api.js';
import { avatar, byId, setText, showText } from '../dom.js';
import { go, roomHash } from '../router.js';
import { secondWindow } from '../session.js';
import { localpart, plural, serverOf } from '../text.js';
import { FieldError, onSubmit, openDialog, prepareDialog, required, userIdOf } from './forms.js';
import { toast } from './notify.js';

const server = (session) => serverOf(session.userId);

/** Prepares all four dialogs; `openRoom()` answers the room in view, `logout` ends the session. */
export function startDialogs({ api, store, session, openRoom, logout }) {
  for (const name of ['create', 'invite', 'leave', 'account']) prepareDialog(byId(`${name}-dialog`));
  startCreate(api, store, session);
  startInvite(api, session, openRoom);
  startLeave(api, store, openRoom);
  startAccount(api, session, logout);
}

function userIds(field, session) {
  const names = field.value.split(/[\s,;]+/).filter(Boolean);
  return names.map((name) => {
    const id = userIdOf(name, server(session));
    if (!id) throw new FieldError(field, `“${name}” is not a user name.`);
    return id;
  });
}

function startCreate(api, store, session) {
  const dialog = byId('create-dialog');
  const open = () => {
    openDialog(dialog, byId('create-name'));
    setText(byId('create-server'), `:${server(session)}`);
  };
  byId('open-create').addEventListener('click', open);
  byId('start-create').addEventListener('click', open);
  onSubmit(dialog.querySelector('form'), byId('create-error'), async () => {
    const name = required(byId('create-name'), 'Please give the room a name.');
    const alias = byId('create-alias').value.trim().replace(/^#/, '').split(':')[0];
    if (/\s/.test(alias)) throw new FieldError(byId('create-alias'), 'An address has no spaces in it.');
    const open = dialog.querySelector('[name="create-access"]:checked').value === 'public';
    const { room_id: roomId } = await api.createRoom({
      name,
      topic: byId('create-topic').value.trim() || undefined,
      room_alias_name: alias || undefined,
      preset: open ? 'public_chat' : 'private_chat',
      visibility: open ? 'public' : 'private',
      invite: userIds(byId('create-invite'), session),
    });
    store.expect(roomId);
    dialog.close();
    go(roomHash(roomId));
  });
}

function startInvite(api, session, openRoom) {
  const dialog = byId('invite-dialog');
  const field = byId('invite-user');
  const open = () => {
    byId('invite-window').href = secondWindow();
    openDialog(dialog, field);
  };
  for (const id of ['open-invite', 'people-invite', 'alone-invite']) byId(id).addEventListener('click', open);
  onSubmit(dialog.querySelector('form'), byId('invite-error'), async () => {
    showText(byId('invite-done'), '');
    required(field, 'Please say whom to invite.');
    const ids = userIds(field, session);
    const refused = [];
    for (const id of ids) {
      try {
        await api.invite(openRoom().id, id);
      } catch (error) {
        refused.push(`${id}: ${explain(error)}`);
      }
    }
    if (ids.length > refused.length) showText(byId('invite-done'), `${plural(ids.length - refused.length, 'person', 'people')} invited. They see it at once.`);
    if (refused.length > 0) throw new FieldError(field, refused.join(' '));
    field.value = '';
    field.focus();
  });
}

function startLeave(api, store, openRoom) {
  const dialog = byId('leave-dialog');
  byId('open-leave').addEventListener('click', () => {
    const room = openRoom();
    const back = room.isPublic ? 'You can come back at any time.' : 'Only those who are invited can come in, so you may not be able to come back.';
    setText(byId('leave-text'), `You will no longer get messages from ${room.name}. ${back}`);
    openDialog(dialog, dialog.querySelector('[data-close]'));
  });
  onSubmit(dialog.querySelector('form'), byId('leave-error'), async () => {
    const room = openRoom();
    await api.leave(room.id);
    dialog.close();
    store.drop(room.id);
    go('#/', { replace: true });
  });
}

function startAccount(api, session, logout) {
  const dialog = byId('account-dialog');
  const field = byId('account-name');
  byId('open-account').addEventListener('click', async () => {
    setText(byId('account-id'), session.userId);
    setText(byId('account-device'), session.deviceId);
    openDialog(dialog, field);
    const shown = byId('me-name').textContent;
    field.value = shown;
    try {
      const { displayname } = await api.profile(session.userId);
      // What was typed meanwhile stays.
      if (typeof displayname === 'string' && field.value === shown) field.value = displayname;
    } catch {
      // The name of the member list, shown already, is good enough.
    }
  });
  onSubmit(dialog.querySelector('form'), byId('account-error'), async () => {
    const name = required(field, 'Please enter a name.');
    await api.setDisplayName(session.userId, name);
    dialog.close();
    setText(byId('me-name'), name);
    byId('me-avatar').replaceChildren(avatar(name, session.userId));
    toast(`You are now called ${name}`);
  });
  byId('logout').addEventListener('click', () => logout());
  setText(byId('me-name'), localpart(session.userId));
}
