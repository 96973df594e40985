// The first screen: make an account or log in.

import { MatrixApi, MatrixError, explain } from '../api.js';
import { byId, showText } from '../dom.js';
import { profile } from '../session.js';
import { FieldError, onSubmit, required } from './forms.js';

const DUMMY = 'm.login.dummy';
const TOKEN = 'm.login.registration_token';
const SHORTEST_PASSWORD = 8;

const api = new MatrixApi();

/**
 * Shows the screen. `entered(answer)` is called with what the server answers to
 * a registration or a login; `notice` is shown above the form; `expected` is
 * who was here before, and on which device.
 */
export function showWelcome({ entered, notice, expected }) {
  byId('welcome').hidden = false;
  byId('skip-link').href = '#welcome-panel';
  byId('welcome-host').textContent = location.host;
  document.title = 'Greenroom';
  prepareTabs();
  prepareReveal();
  prepareRegistration(entered);
  prepareLogin(entered, expected);
  const first = profile ? `This window is for another person (“${profile}”). The first window stays logged in.` : '';
  showText(byId('welcome-notice'), notice || first);
  if (notice) choose('login');
  if (expected.userId) byId('login-password').focus();
  checkServer();
}

async function checkServer() {
  try {
    const { flows } = await api.loginFlows();
    const known = Array.isArray(flows) && flows.some((flow) => flow?.type === 'm.login.password');
    if (!known) showText(byId('welcome-notice'), 'This server does not offer login by password. Please use another client.');
  } catch (error) {
    showText(byId('welcome-notice'), explain(error));
  }
}

function prepareTabs() {
  const names = ['register', 'login'];
  for (const name of names) byId(`tab-${name}`).addEventListener('click', () => choose(name, true));
  byId('tab-register').parentElement.addEventListener('keydown', (event) => {
    if (!['ArrowLeft', 'ArrowRight'].includes(event.key)) return;
    event.preventDefault();
    const next = byId('panel-register').hidden ? 'register' : 'login';
    choose(next);
    byId(`tab-${next}`).focus();
  });
}

function choose(name, focusField = false) {
  for (const one of ['register', 'login']) {
    const selected = one === name;
    byId(`panel-${one}`).hidden = !selected;
    byId(`tab-${one}`).setAttribute('aria-selected', String(selected));
    byId(`tab-${one}`).tabIndex = selected ? 0 : -1;
  }
  if (focusField) byId(`${name}-name`).focus();
}

function prepareReveal() {
  for (const button of document.querySelectorAll('[data-reveal]')) {
    const field = byId(button.dataset.reveal);
    button.addEventListener('click', () => {
      const reveal = field.type === 'password';
      field.type = reveal ? 'text' : 'password';
      button.textContent = reveal ? 'Hide' : 'Show';
      button.setAttribute('aria-pressed', String(reveal));
      field.focus();
    });
  }
}

const deviceName = () => `Greenroom page${profile ? ` (${profile})` : ''}`;

function prepareLogin(entered, expected) {
  byId('login-name').value = expected.userId ?? '';
  onSubmit(byId('panel-login'), byId('login-error'), async () => {
    const name = required(byId('login-name'), 'Please enter your user name.');
    const password = byId('login-password');
    if (!password.value) throw new FieldError(password, 'Please enter your password.');
    try {
      const deviceId = name === expected.userId ? expected.deviceId : undefined;
      entered(await api.login(name, password.value, { deviceId, deviceName: deviceName() }));
    } catch (error) {
      if (error instanceof MatrixError && error.status === 403) {
        throw new FieldError(password, 'This user name and password do not go together.');
      }
      throw error;
    }
  });
}

function prepareRegistration(entered) {
  const field = byId('register-name');
  const wanted = () => field.value.trim().replace(/^@/, '').split(':')[0].toLowerCase();
  let checking = new AbortController();
  // Before somebody makes up a password: is the name free, and may one register at all?
  field.addEventListener('change', async () => {
    checking.abort();
    if (!wanted()) return;
    checking = new AbortController();
    const { signal } = checking;
    try {
      await api.nameAvailable(wanted(), signal);
    } catch (error) {
      const problem = refusal(field, error);
      if (signal.aborted || !problem) return;
      field.setAttribute('aria-invalid', 'true');
      showText(byId('register-error'), problem.message);
    }
  });
  field.addEventListener('input', () => checking.abort());
  onSubmit(byId('panel-register'), byId('register-error'), async () => {
    checking.abort();
    required(field, 'Please choose a user name.');
    const username = wanted();
    const password = byId('register-password');
    if (password.value.length < SHORTEST_PASSWORD) {
      throw new FieldError(password, `Please choose a password of at least ${SHORTEST_PASSWORD} characters.`);
    }
    try {
      entered({ ...(await register({ username, password: password.value, deviceName: deviceName() })), isNew: true });
    } catch (error) {
      throw refusal(field, error) ?? error;
    }
  });
}

// What is wrong with the name, or with registering at all; null where it is neither.
function refusal(field, error) {
  if (!(error instanceof MatrixError)) return null;
  if (['M_USER_IN_USE', 'M_INVALID_USERNAME', 'M_EXCLUSIVE'].includes(error.code)) return new FieldError(field, explain(error));
  if (error.status !== 403 || error.code !== 'M_FORBIDDEN') return null;
  return new FieldError(field, `You cannot make an account here: ${explain(error)} Whoever runs this server can make one for you.`);
}

// Most servers with open registration take the dummy stage at once. Others
// answer with the stages they want; this page knows the dummy and the token.
async function register(account) {
  const tokenField = byId('register-token');
  let auth = { type: DUMMY };
  for (let round = 0; round < 4; round += 1) {
    try {
      return await api.register({ ...account, auth });
    } catch (error) {
      if (!(error instanceof MatrixError) || error.status !== 401 || !error.body.session) throw error;
      const stage = nextStage(error.body);
      if (stage === TOKEN) {
        const asked = !byId('register-token-field').hidden;
        byId('register-token-field').hidden = false;
        if (auth.type === TOKEN) throw new FieldError(tokenField, 'The server does not accept this registration token.');
        if (!tokenField.value.trim()) {
          throw new FieldError(tokenField, asked ? 'Please enter the registration token.' : 'This server asks for a registration token. Please enter it below the password.');
        }
      }
      auth = { type: stage, session: error.body.session, token: stage === TOKEN ? tokenField.value.trim() : undefined };
    }
  }
  throw new Error('the server keeps asking for more');
}

function nextStage({ flows, completed = [] }) {
  const known = (Array.isArray(flows) ? flows : []).find((flow) => flow?.stages?.every((stage) => stage === DUMMY || stage === TOKEN));
  if (!known) throw new FieldError(byId('register-name'), 'This server asks for steps that this page does not know. Please register with another client.');
  return known.stages.find((stage) => !completed.includes(stage)) ?? DUMMY;
}
