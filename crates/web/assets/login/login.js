// Logs in for a client that cannot do it itself, and hands it the answer
// (client-server API, 'Login Fallback').

const LOGIN = '/_matrix/client/v3/login';
const REQUEST_TIMEOUT_MS = 30_000;

const byId = (id) => document.getElementById(id);

/** The parameters of the address that belong to the login and are no credentials. */
function forwarded() {
  const query = new URLSearchParams(location.search);
  const fields = {};
  for (const name of ['device_id', 'initial_device_display_name']) {
    const value = query.get(name);
    if (value) fields[name] = value;
  }
  if (query.get('refresh_token') === 'true') fields.refresh_token = true;
  return fields;
}

async function call(options) {
  const response = await fetch(LOGIN, {
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    ...options,
  });
  const body = await response.json().catch(() => ({}));
  return { ok: response.ok, status: response.status, body };
}

function showError(text, field) {
  byId('error').textContent = text;
  byId('error').hidden = !text;
  for (const one of ['username', 'password']) byId(one).removeAttribute('aria-invalid');
  field?.setAttribute('aria-invalid', 'true');
  field?.focus();
}

function refusal({ status, body }) {
  if (status === 403 && body.errcode === 'M_FORBIDDEN') return 'This user name and password do not go together.';
  if (status === 429) {
    const seconds = Math.ceil((Number(body.retry_after_ms) || 0) / 1000);
    return seconds > 0 ? `Too many attempts. Please try again in ${seconds} seconds.` : 'Too many attempts. Please wait a moment.';
  }
  if (status >= 500) return 'The server has a problem. Please try again.';
  return typeof body.error === 'string' ? body.error : `The server answered ${status}.`;
}

/** Whether a client was there to take the answer. */
function handOver(answer) {
  if (typeof window.matrixLogin?.onLogin === 'function') window.matrixLogin.onLogin(answer);
  else if (typeof window.onLogin === 'function') window.onLogin(answer);
  else return false;
  return true;
}

function finish(answer) {
  // The form goes, so that password managers see that it was accepted.
  byId('form').hidden = true;
  byId('intro').hidden = true;
  byId('title').textContent = 'You are logged in';
  byId('title').focus();
  const taken = handOver(answer);
  byId('status').textContent = taken
    ? 'You can go back to your app.'
    : 'No app was waiting for this login. Please open this page from the app you want to use.';
}

async function submit(event) {
  event.preventDefault();
  const button = byId('submit');
  if (button.getAttribute('aria-disabled') === 'true') return;
  const username = byId('username');
  const password = byId('password');
  if (!username.value.trim()) {
    showError('Please enter your user name.', username);
    return;
  }
  if (!password.value) {
    showError('Please enter your password.', password);
    return;
  }
  showError('');
  button.setAttribute('aria-disabled', 'true');
  byId('status').textContent = 'Logging in…';
  let answer;
  try {
    answer = await call({
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        ...forwarded(),
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: username.value.trim() },
        password: password.value,
      }),
    });
  } catch {
    showError('The server cannot be reached. Please try again.');
  } finally {
    button.removeAttribute('aria-disabled');
    byId('status').textContent = '';
  }
  if (answer?.ok) finish(answer.body);
  else if (answer) showError(refusal(answer), answer.status === 403 ? password : undefined);
}

async function start() {
  byId('host').textContent = location.host;
  byId('form').addEventListener('submit', submit);
  byId('form').addEventListener('input', () => showError(''));
  byId('form').hidden = false;
  byId('username').focus();
  const flows = await call({ method: 'GET' }).catch(() => null);
  const offered = Array.isArray(flows?.body.flows) ? flows.body.flows.map((flow) => flow?.type) : null;
  if (offered && !offered.includes('m.login.password')) {
    byId('form').hidden = true;
    showError('This server does not offer login by password here.');
  }
}

start();
