// Who is logged in, remembered across reloads.
//
// A window opened with `?profile=NAME` keeps a session of its own, so that two
// people can be tried side by side in one browser.

const PROFILE = /^[a-z0-9-]{1,24}$/;

export const profile = (() => {
  const wanted = new URLSearchParams(location.search).get('profile') ?? '';
  return PROFILE.test(wanted) ? wanted : '';
})();

const KEY = profile ? `greenroom.session.${profile}` : 'greenroom.session';
const AGAIN_KEY = 'greenroom.again';
const PEOPLE_KEY = 'greenroom.people';

/** The session, or null. @returns {{userId: string, accessToken: string, deviceId: string}|null} */
export function load() {
  try {
    const session = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    const complete = ['userId', 'accessToken', 'deviceId'].every((name) => typeof session?.[name] === 'string');
    return complete ? session : null;
  } catch {
    return null;
  }
}

/** Remembers what login or registration answered, and returns the session. */
export function save({ user_id: userId, access_token: accessToken, device_id: deviceId }) {
  const session = { userId, accessToken, deviceId };
  try {
    localStorage.setItem(KEY, JSON.stringify(session));
  } catch {
    // Storage may be full or forbidden: this window then forgets on reload.
  }
  return session;
}

export function forget() {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Nothing was stored, then.
  }
}

/** Remembers in this window who was logged in when the session ended by itself. */
export function expectAgain(userId, deviceId) {
  try {
    sessionStorage.setItem(AGAIN_KEY, JSON.stringify({ userId, deviceId }));
  } catch {
    // Then they type their name again.
  }
}

/** Who is expected to log in again, asked once. @returns {{userId?: string, deviceId?: string}} */
export function takeExpected() {
  try {
    const expected = JSON.parse(sessionStorage.getItem(AGAIN_KEY) ?? '{}');
    sessionStorage.removeItem(AGAIN_KEY);
    return expected ?? {};
  } catch {
    return {};
  }
}

/** Calls back when another window of this profile logs out or in as another. */
export function onElsewhere(changed) {
  addEventListener('storage', (event) => {
    if (event.key === KEY || event.key === null) changed(load());
  });
}

/** The address of a window for another person. */
export function secondWindow() {
  const next = /^\d+$/.test(profile) ? Number(profile) + 1 : 2;
  return `${location.pathname}?profile=${next}${location.hash.replace(/\/people$/, '')}`;
}

/** Whether the list of people is wanted beside the room, on a wide screen. */
export const peoplePreferred = () => {
  try {
    return localStorage.getItem(PEOPLE_KEY) !== 'closed';
  } catch {
    return true;
  }
};

export function preferPeople(open) {
  try {
    localStorage.setItem(PEOPLE_KEY, open ? 'open' : 'closed');
  } catch {
    // A preference, no more.
  }
}
