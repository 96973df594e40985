// Puts the parts together: a session, or the first screen to get one.

import { MatrixApi } from './api.js';
import { byId } from './dom.js';
import { Outbox } from './outbox.js';
import { go } from './router.js';
import * as sessions from './session.js';
import { Store } from './store.js';
import { SyncLoop } from './sync.js';
import { plain } from './text.js';
import { startDialogs } from './views/dialogs.js';
import { Directory } from './views/directory.js';
import { announce, toast } from './views/notify.js';
import { RoomPane } from './views/room.js';
import { startSidebar } from './views/sidebar.js';
import { showWelcome } from './views/welcome.js';

const NOTICE_KEY = 'greenroom.notice';

function start(session) {
  byId('welcome').hidden = true;
  byId('app').hidden = false;
  const api = new MatrixApi(session.accessToken);
  const store = new Store(session.userId);
  const isKnown = (roomId, eventId) => store.rooms.get(roomId)?.eventIds.has(eventId) ?? false;
  const outbox = new Outbox(api, session.userId, isKnown);
  const sync = new SyncLoop(api, store);
  const services = { api, store, outbox, sync, session };

  // Before any view draws: an event and its echo must never show both.
  store.on('room', ({ id }) => outbox.confirm(id, store.rooms.get(id)?.timeline ?? []));
  startSidebar(services);
  const pane = new RoomPane(services);
  new Directory(services);
  startDialogs({ ...services, openRoom: () => pane.room, logout: () => logout(services) });
  reportMemberships(store, session);
  sync.addEventListener('loggedout', ({ detail }) => expire(detail.body.soft_logout === true));
  // Whichever of the two reaches the server first tells the other.
  sync.addEventListener('back', () => outbox.flush());
  outbox.addEventListener('sent', () => sync.retryNow());
  sessions.onElsewhere((other) => {
    if (other?.accessToken !== session.accessToken) location.reload();
  });
  sync.start();
  outbox.flush();
  return services;

  // A soft logout asks for the password, and leaves the device as it is.
  function expire(soft) {
    sync.stop();
    outbox.suspend({ sameDevice: soft });
    sessions.forget();
    sessions.expectAgain(session.userId, soft ? session.deviceId : undefined);
    leave('You have been logged out. Please log in again.');
  }

  async function logout() {
    sync.stop();
    try {
      await api.logout();
    } catch (error) {
      // Forgotten here all the same; the server's copy ends with the account's other logouts.
      console.info('logout did not reach the server', error.message);
    }
    outbox.stop();
    sessions.forget();
    leave('');
  }
}

function reportMemberships(store, session) {
  store.on('invited', ({ room }) => announce(`You are invited to ${room.name}`));
  store.on('removed', ({ room, event }) => {
    if (!event || event.sender === session.userId) return;
    const reason = plain(event.content?.reason);
    const act = event.content?.membership === 'ban' ? 'banned' : 'removed';
    toast(`You were ${act} from ${room.name}${reason ? `: ${reason}` : ''}`);
  });
}

// A fresh page is the surest way to keep nothing of one account for the next.
function leave(notice) {
  try {
    if (notice) sessionStorage.setItem(NOTICE_KEY, notice);
  } catch {
    // Then without a word.
  }
  go('#/', { replace: true });
  location.reload();
}

function takeNotice() {
  try {
    const notice = sessionStorage.getItem(NOTICE_KEY) ?? '';
    sessionStorage.removeItem(NOTICE_KEY);
    return notice;
  } catch {
    return '';
  }
}

const remembered = sessions.load();
if (remembered) start(remembered);
else {
  showWelcome({
    notice: takeNotice(),
    expected: sessions.takeExpected(),
    entered: (answer) => {
      start(sessions.save(answer));
      byId('room-pane').focus();
    },
  });
}
