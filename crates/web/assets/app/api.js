// The Matrix client-server API, as far as this page uses it: one method per
// endpoint, nothing that is not in the specification.

const PREFIX = '/_matrix/client/v3';
const PREFIX_V1 = '/_matrix/client/v1';
const REQUEST_TIMEOUT_MS = 30_000;

/** An answer of the server that is an error, with its Matrix error code. */
export class MatrixError extends Error {
  constructor(status, body, retryAfterMs) {
    super(typeof body?.error === 'string' ? body.error : `the server answered ${status}`);
    this.name = 'MatrixError';
    this.status = status;
    this.code = typeof body?.errcode === 'string' ? body.errcode : 'M_UNKNOWN';
    this.body = body ?? {};
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get temporary() {
    return this.status === 429 || this.status >= 500;
  }

  get loggedOut() {
    return this.status === 401 && this.code === 'M_UNKNOWN_TOKEN';
  }
}

/** The server could not be reached, or did not answer in time. */
export class ConnectionError extends Error {
  constructor(cause) {
    super('the server cannot be reached', { cause });
    this.name = 'ConnectionError';
    this.temporary = true;
  }
}

/** What to tell somebody about a failure, in one sentence. */
export function explain(error) {
  if (error instanceof ConnectionError) return 'The server cannot be reached. Is it running, and are you online?';
  if (!(error instanceof MatrixError)) return `Something went wrong in this page: ${error.message}`;
  switch (error.code) {
    case 'M_LIMIT_EXCEEDED':
      return error.retryAfterMs
        ? `Too many attempts. Please try again in ${Math.ceil(error.retryAfterMs / 1000)} seconds.`
        : 'Too many attempts. Please wait a moment.';
    case 'M_USER_IN_USE':
      return 'This user name is taken. Please choose another one.';
    case 'M_INVALID_USERNAME':
      return 'This user name has characters that are not allowed.';
    case 'M_ROOM_IN_USE':
      return 'This address is taken by another room.';
    case 'M_WEAK_PASSWORD':
      return `This password is too weak: ${error.message}`;
    case 'M_USER_DEACTIVATED':
      return 'This account has been deactivated.';
    default:
      return error.status >= 500 ? 'The server has a problem. Please try again.' : sentence(error.message);
  }
}

function sentence(text) {
  const start = text.charAt(0).toLocaleUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

const part = (value) => encodeURIComponent(value);

/** Talks to the homeserver this page came from, with one account's token. */
export class MatrixApi {
  constructor(accessToken = null) {
    this.accessToken = accessToken;
  }

  /**
   * One request. Rejects with a MatrixError, a ConnectionError, or an
   * AbortError when `signal` asked for it.
   */
  async request(method, path, { query, body, signal, prefix = PREFIX, timeoutMs = REQUEST_TIMEOUT_MS } = {}) {
    const url = new URL(prefix + path, location.origin);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
    }
    const headers = {};
    if (this.accessToken) headers.Authorization = `Bearer ${this.accessToken}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const timeout = AbortSignal.timeout(timeoutMs);
    const options = {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      credentials: 'omit',
      cache: 'no-store',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
    };
    let response;
    let text;
    try {
      response = await fetch(url, options);
      text = await response.text();
    } catch (cause) {
      if (signal?.aborted) throw new DOMException('aborted', 'AbortError');
      throw new ConnectionError(cause);
    }
    const answer = parse(text);
    if (response.ok && answer !== null) return answer;
    throw new MatrixError(response.ok ? 502 : response.status, answer, retryAfter(response, answer));
  }

  // Accounts

  loginFlows() {
    return this.request('GET', '/login');
  }

  login(user, password, { deviceId, deviceName } = {}) {
    return this.request('POST', '/login', {
      body: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user },
        password,
        device_id: deviceId,
        initial_device_display_name: deviceName,
      },
    });
  }

  register({ username, password, auth, deviceName }) {
    return this.request('POST', '/register', {
      body: { username, password, auth, initial_device_display_name: deviceName },
    });
  }

  /** Rejects where nobody can register under this name. */
  nameAvailable(username, signal) {
    return this.request('GET', '/register/available', { query: { username }, signal });
  }

  logout() {
    return this.request('POST', '/logout', { body: {} });
  }

  profile(userId) {
    return this.request('GET', `/profile/${part(userId)}`);
  }

  setDisplayName(userId, displayname) {
    return this.request('PUT', `/profile/${part(userId)}/displayname`, { body: { displayname } });
  }

  // Live state

  sync({ since, filter, timeoutMs, presence, signal }) {
    return this.request('GET', '/sync', {
      query: { since, filter: JSON.stringify(filter), timeout: timeoutMs, set_presence: presence },
      signal,
      // An initial sync may take long; a parked one takes its own timeout.
      timeoutMs: since ? timeoutMs + REQUEST_TIMEOUT_MS : 4 * REQUEST_TIMEOUT_MS,
    });
  }

  // Rooms

  createRoom(body) {
    return this.request('POST', '/createRoom', { body });
  }

  join(roomIdOrAlias) {
    return this.request('POST', `/join/${part(roomIdOrAlias)}`, { body: {} });
  }

  leave(roomId) {
    return this.request('POST', `/rooms/${part(roomId)}/leave`, { body: {} });
  }

  invite(roomId, userId) {
    return this.request('POST', `/rooms/${part(roomId)}/invite`, { body: { user_id: userId } });
  }

  members(roomId) {
    return this.request('GET', `/rooms/${part(roomId)}/members`, { query: { not_membership: 'leave' } });
  }

  resolveAlias(alias) {
    return this.request('GET', `/directory/room/${part(alias)}`);
  }

  publicRooms({ search, since, limit }) {
    return this.request('POST', '/publicRooms', {
      body: { limit, since, filter: search ? { generic_search_term: search } : undefined },
    });
  }

  presence(userId) {
    return this.request('GET', `/presence/${part(userId)}/status`);
  }

  // Messages

  /** Sending again with the same `txnId` never makes a second event. */
  send(roomId, type, txnId, content) {
    return this.request('PUT', `/rooms/${part(roomId)}/send/${part(type)}/${part(txnId)}`, { body: content });
  }

  messages(roomId, { from, limit, filter }) {
    return this.request('GET', `/rooms/${part(roomId)}/messages`, {
      query: { dir: 'b', from, limit, filter: JSON.stringify(filter) },
    });
  }

  event(roomId, eventId) {
    return this.request('GET', `/rooms/${part(roomId)}/event/${part(eventId)}`);
  }

  /** What relates to an event, and what relates to that: newest first. */
  relations(roomId, eventId, { from, limit }) {
    return this.request('GET', `/rooms/${part(roomId)}/relations/${part(eventId)}`, {
      prefix: PREFIX_V1,
      query: { dir: 'b', from, limit, recurse: true },
    });
  }

  redact(roomId, eventId, txnId) {
    return this.request('PUT', `/rooms/${part(roomId)}/redact/${part(eventId)}/${part(txnId)}`, { body: {} });
  }

  typing(roomId, userId, typing, timeoutMs) {
    const body = typing ? { typing, timeout: timeoutMs } : { typing };
    return this.request('PUT', `/rooms/${part(roomId)}/typing/${part(userId)}`, { body });
  }

  /** `thread` is the first event of a thread, or `main` for what is in none. */
  read(roomId, eventId, thread) {
    return this.request('POST', `/rooms/${part(roomId)}/receipt/m.read/${part(eventId)}`, { body: { thread_id: thread } });
  }
}

function parse(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

function retryAfter(response, body) {
  const seconds = Number(response.headers.get('Retry-After') ?? Number.NaN);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  return Number.isFinite(body?.retry_after_ms) ? body.retry_after_ms : undefined;
}
