// What every browser test needs: a browser, windows that are watched for
// errors, people who register through the page, and the server's own API.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { chromium } from 'playwright-core';

export const url = (process.env.GREENROOM_URL ?? '').replace(/\/+$/, '');
if (!url) throw new Error('GREENROOM_URL must name a running server');

const TIMEOUT_MS = 20_000;
const run = `${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
let people = 0;

/** A user name nobody has on this server. */
export const freshName = (name) => `${name}-${run}${(people += 1)}`;

export function launch() {
  // Playwright gives every launch a user data directory of its own.
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/**
 * Opens a window with storage of its own. Every console error, exception and
 * violation of the content security policy is kept in `problems`.
 */
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 }, locale: 'en-GB', timezoneId: 'UTC', ignoreHTTPSErrors: true, ...options,
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  const page = await context.newPage();
  const problems = [];
  const allowed = [];
  const report = (text) => allowed.some((pattern) => pattern.test(text)) || problems.push(text);
  page.on('pageerror', (error) => report(`exception: ${error.stack ?? error}`));
  page.on('console', (message) => message.type() === 'error' && report(`console: ${message.text()} ${message.location().url}`));
  page.on('request', (request) => new URL(request.url()).origin === new URL(url).origin || report(`foreign request: ${request.url()}`));
  await page.exposeBinding('reportViolation', (_source, text) => report(`content security policy: ${text}`));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return Object.assign(page, { problems, allow: (pattern) => allowed.push(pattern) });
}

export function assertClean(...pages) {
  for (const page of pages) assert.deepEqual(page.problems, []);
}

/** Fills and sends one of the two forms of the first screen: `register` or `login`. */
export async function enter(page, form, name, password) {
  const panel = page.locator(`#panel-${form}`);
  await panel.getByLabel('User name').fill(name);
  await panel.getByLabel('Password', { exact: true }).fill(password);
  await panel.locator('button[type="submit"]').click();
}

/** Makes an account through the page and answers what it remembers of it. */
export async function register(page, name, password = 'correct horse battery') {
  await page.goto(`${url}/`);
  await enter(page, 'register', name, password);
  await live(page);
  return sessionOf(page);
}

export const live = (page) => page.locator('#connection[data-state="online"]').waitFor({ state: 'attached' });

export const sessionOf = (page, profile = '') => page.evaluate(
  (key) => JSON.parse(localStorage.getItem(key)), profile ? `greenroom.session.${profile}` : 'greenroom.session');

/** Creates a room through the page and answers its id. */
export async function createRoom(page, { name, alias, topic, everyone = false }) {
  await page.locator('#open-create').click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  if (topic) await page.getByLabel('What is it about?').fill(topic);
  if (alias) await page.getByLabel('Address', { exact: false }).first().fill(alias);
  if (everyone) await page.getByRole('radio', { name: /Everyone/ }).check();
  await page.getByRole('button', { name: 'Create room', exact: true }).click();
  await page.locator('#room-name', { hasText: name }).waitFor();
  return decodeURIComponent(new URL(page.url()).hash.split('/')[2]);
}

export async function invite(page, ...users) {
  await page.locator('#open-invite').click();
  await page.getByLabel('Who?').fill(users.join(', '));
  await page.locator('#invite-dialog button[type="submit"]').click();
  await page.locator('#invite-done', { hasText: 'invited' }).waitFor();
  await page.keyboard.press('Escape');
}

export async function acceptInvite(page, roomName) {
  await page.locator('#invites .room-link', { hasText: roomName }).click();
  await page.getByRole('button', { name: 'Accept' }).click();
  await page.locator('#room-name', { hasText: roomName }).waitFor();
  await page.locator('#composer').waitFor();
}

export async function say(page, text) {
  await page.locator('#message').fill(text);
  await page.locator('#send').click();
}

export const message = (page, text) => page.locator('.message .body', { hasText: text });

/** Waits until exactly this text is shown once, in a bubble. */
export const shown = (page, text) => page.waitForFunction(
  (wanted) => [...document.querySelectorAll('.message .body')].filter((body) => body.textContent === wanted).length === 1, text);

/** One request to the client-server API, for what is not the page's part of a test. */
export async function api(session, method, endpoint, body) {
  const response = await fetch(`${url}/_matrix/client/v3${endpoint}`, {
    method,
    headers: { Authorization: `Bearer ${session.accessToken}`, 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, `${method} ${endpoint}: ${JSON.stringify(answer)}`);
  return answer;
}

export const sendText = (session, roomId, txnId, body) => api(session, 'PUT',
  `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${txnId}`, { msgtype: 'm.text', body });

export const setName = (session, displayname) => api(session, 'PUT',
  `/profile/${encodeURIComponent(session.userId)}/displayname`, { displayname });

/** Two people in two windows, who have met in a new room. */
export async function twoInARoom(browser, roomName, { names = [], ...options } = {}) {
  const [alicePage, bobPage] = [await openWindow(browser), await openWindow(browser)];
  const alice = await register(alicePage, freshName('alice'));
  const bob = await register(bobPage, freshName('bob'));
  for (const [index, displayname] of names.entries()) await setName([alice, bob][index], displayname);
  const roomId = await createRoom(alicePage, { name: roomName, ...options });
  await invite(alicePage, bob.userId);
  await acceptInvite(bobPage, roomName);
  return { alicePage, bobPage, alice, bob, roomId };
}

/** Writes a picture of the window where GREENROOM_SCREENSHOT_DIR asks for it. */
export async function picture(page, name) {
  const folder = process.env.GREENROOM_SCREENSHOT_DIR;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled', caret: 'initial' });
}
