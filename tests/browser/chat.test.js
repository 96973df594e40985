// Two people talk in two windows; one reloads and finds everything.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { acceptInvite, api, assertClean, createRoom, enter, freshName, invite, launch, live, message, openWindow, picture, register, say, sendText, sessionOf, setName, shown, twoInARoom, url } from './kit.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test('two people chat in two windows and one finds everything after a reload', async () => {
  const alicePage = await openWindow(browser);
  const bobPage = await openWindow(browser);
  await alicePage.goto(`${url}/`);
  await alicePage.getByRole('heading', { level: 1 }).waitFor();
  await picture(alicePage, 'welcome-light');
  const aliceName = freshName('alice');
  const alice = await register(alicePage, aliceName);
  assert.match(alice.userId, new RegExp(`^@${aliceName}:`));
  await alicePage.getByText('You have no rooms yet').waitFor();

  // A newcomer is told how to go on: a second window, and an invitation.
  const alias = freshName('kitchen');
  const roomId = await createRoom(alicePage, { name: 'Kitchen table', alias, topic: 'Recipes, and who brings the bread' });
  await alicePage.getByText('You are the only one here').waitFor();
  assert.match(await alicePage.locator('#alone-window').getAttribute('href'), /\?profile=2#\/room\//);
  const resolved = await api(alice, 'GET', `/directory/room/${encodeURIComponent(`#${alias}:${alice.userId.split(':').slice(1).join(':')}`)}`);
  assert.equal(resolved.room_id, roomId);

  const bobName = freshName('bob');
  const bob = await register(bobPage, bobName);
  await invite(alicePage, bobName);
  await bobPage.locator('#invites', { hasText: 'invites you' }).waitFor();
  await acceptInvite(bobPage, 'Kitchen table');
  await alicePage.locator('.event', { hasText: `${bobName} joined` }).waitFor();

  // Messages both ways, without a reload.
  await say(alicePage, 'Hello Bob, can you see this?');
  await shown(bobPage, 'Hello Bob, can you see this?');
  await say(bobPage, 'At once!');
  await shown(alicePage, 'At once!');
  await alicePage.locator('.message.own.sent', { hasText: 'Hello Bob' }).waitFor();

  // Who types, and no longer types once it is sent.
  await bobPage.locator('#message').pressSequentially('I will bring the bread');
  await alicePage.locator('#typing', { hasText: `${bobName} is typing` }).waitFor();
  await bobPage.keyboard.press('Enter');
  await shown(alicePage, 'I will bring the bread');
  await alicePage.waitForFunction(() => document.getElementById('typing').textContent === '');

  // Who is online, and what has been read.
  await alicePage.locator(`.person[data-user-id="${bob.userId}"][data-presence="online"]`).waitFor();
  await say(alicePage, 'See https://matrix.org/docs, then');
  await alicePage.locator('#seen', { hasText: `Seen by ${bobName}` }).waitFor();
  assert.equal(await bobPage.locator('.message .body a').getAttribute('rel'), 'noopener noreferrer nofollow');

  // A long history: Bob reloads and finds all of it, in order, each once.
  const total = 130;
  for (let n = 1; n <= total; n += 1) await sendText(n % 3 ? alice : bob, roomId, `history-${n}`, `entry ${n}`);
  await shown(bobPage, `entry ${total}`);
  await bobPage.reload();
  await live(bobPage);
  await shown(bobPage, `entry ${total}`);
  assert.equal((await sessionOf(bobPage)).accessToken, bob.accessToken);
  await bobPage.waitForFunction(() => {
    const scroller = document.getElementById('scroller');
    scroller.scrollTop = 0;
    return document.getElementById('history-status').textContent.includes('begins') && document.getElementById('history-more').hidden;
  });
  const bodies = await bobPage.locator('.message .body').allTextContents();
  const entries = bodies.filter((body) => body.startsWith('entry '));
  assert.deepEqual(entries, Array.from({ length: total }, (_, index) => `entry ${index + 1}`));
  assert.ok(bodies.indexOf('Hello Bob, can you see this?') < bodies.indexOf('At once!'));

  // Reading far up, Bob is told of news and stays where he is.
  const place = await bobPage.evaluate(() => (document.getElementById('scroller').scrollTop = 40));
  await say(alicePage, 'Something new');
  await bobPage.locator('#to-newest', { hasText: '1 new below' }).click();
  await shown(bobPage, 'Something new');
  assert.ok((await bobPage.evaluate(() => document.getElementById('scroller').scrollTop)) > place);
  assertClean(alicePage, bobPage);
});

test('a conversation looks right in light and dark', async () => {
  const { alicePage, bobPage } = await twoInARoom(browser, 'Stage crew', { names: ['Alice', 'Bob'], topic: 'Lights, sound, and biscuits' });
  const lines = [
    [bobPage, 'Are we ready for tonight?'], [alicePage, 'Almost. The spots are up, the smoke machine is not.'],
    [alicePage, 'Half an hour, I would say.'], [bobPage, 'Then I get the biscuits first'], [bobPage, '🍪🍪'],
    [bobPage, 'Notes are at https://example.org/notes'], [alicePage, 'Perfect. See you behind the curtain!'],
  ];
  for (const [page, text] of lines) {
    await say(page, text);
    await shown(alicePage, text);
    await shown(bobPage, text);
  }
  await createRoom(alicePage, { name: 'Costumes', topic: 'Needles and thread' });
  await createRoom(alicePage, { name: 'Premiere night', everyone: true, alias: freshName('premiere') });
  await picture(alicePage, 'alone-light');
  await alicePage.locator('.room-link', { hasText: 'Stage crew' }).click();
  await alicePage.locator('.person', { hasText: 'Bob' }).waitFor();
  await bobPage.locator('#message').pressSequentially('Break a leg');
  await alicePage.locator('#typing', { hasText: 'Bob is typing' }).waitFor();
  await picture(alicePage, 'desktop-light');
  await alicePage.emulateMedia({ colorScheme: 'dark' });
  const dark = await alicePage.evaluate(() => getComputedStyle(document.querySelector('.room-pane')).backgroundColor);
  assert.ok(dark.match(/\d+/g).slice(0, 3).every((part) => Number(part) < 64), `not dark: ${dark}`);
  await picture(alicePage, 'desktop-dark');
  await alicePage.emulateMedia({ colorScheme: 'light' });
  await alicePage.locator('#open-create').click();
  await picture(alicePage, 'create-light');
  await alicePage.keyboard.press('Escape');
  await alicePage.locator('#open-directory').click();
  await alicePage.locator('.listing', { hasText: 'Premiere night' }).first().waitFor();
  await picture(alicePage, 'directory-light');
  assertClean(alicePage, bobPage);
});

test('a second window of the same browser can belong to another person', async () => {
  const page = await openWindow(browser);
  const first = await register(page, freshName('ann'));
  const second = await page.context().newPage();
  await second.goto(`${url}/?profile=2`);
  await second.getByText('This window is for another person').waitFor();
  await enter(second, 'register', freshName('ben'), 'correct horse battery');
  await live(second);
  assert.notEqual((await sessionOf(second, '2')).userId, first.userId);
  await page.reload();
  await live(page);
  assert.equal((await sessionOf(page)).userId, first.userId);
  assertClean(page);
});

test('a public room is found in the directory, and one by its address', async () => {
  const [alicePage, bobPage] = [await openWindow(browser), await openWindow(browser)];
  await register(alicePage, freshName('alice'));
  const bob = await register(bobPage, freshName('bob'));
  const name = `Square ${freshName('n')}`;
  await createRoom(alicePage, { name, alias: freshName('square'), everyone: true });
  await bobPage.locator('#open-directory').click();
  await bobPage.getByLabel('Public rooms of this server').fill(name);
  await bobPage.getByRole('button', { name: `Join ${name}` }).click();
  await bobPage.locator('#room-name', { hasText: name }).waitFor();

  const alias = freshName('garden');
  await createRoom(alicePage, { name: 'Garden', alias, everyone: true });
  await bobPage.locator('#open-directory').click();
  await bobPage.getByLabel('Join by address').fill(alias);
  await bobPage.keyboard.press('Enter');
  await bobPage.locator('#room-name', { hasText: 'Garden' }).waitFor();
  await alicePage.locator('.event', { hasText: `${bob.userId.slice(1).split(':')[0]} joined` }).waitFor();

  // Leaving, and declining an invitation.
  if (await bobPage.locator('#people').isHidden()) await bobPage.locator('#toggle-people').click();
  await bobPage.getByRole('button', { name: 'Leave this room' }).click();
  await bobPage.getByRole('button', { name: 'Leave', exact: true }).click();
  await bobPage.locator('#room-list .room-link', { hasText: 'Garden' }).waitFor({ state: 'detached' });
  await invite(alicePage, bob.userId);
  await bobPage.locator('#invites .room-link', { hasText: 'Garden' }).click();
  await bobPage.getByRole('button', { name: 'Decline' }).click();
  await bobPage.locator('#invites .room-link').waitFor({ state: 'detached' });
  assertClean(alicePage, bobPage);
});

test('a lost answer does not send twice, and a lost network is survived', async () => {
  const { alicePage, bobPage, roomId, alice } = await twoInARoom(browser, 'Bad line');
  for (const page of [alicePage, bobPage]) page.allow(/ERR_(FAILED|INTERNET_DISCONNECTED|NETWORK_CHANGED|ABORTED)/);

  // The server takes the message, its answer never arrives, the page tries again.
  const tries = [];
  await alicePage.route('**/send/m.room.message/**', async (route) => {
    tries.push(route.request().url());
    if (tries.length > 1) return route.continue();
    await route.fetch();
    return route.abort('failed');
  });
  await say(alicePage, 'Only once, please');
  await shown(bobPage, 'Only once, please');
  await alicePage.locator('.message.own.sent', { hasText: 'Only once' }).waitFor();
  await shown(alicePage, 'Only once, please');
  await alicePage.unroute('**/send/m.room.message/**');
  const { chunk } = await api(alice, 'GET', `/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=20`);
  assert.equal(chunk.filter((event) => event.content.body === 'Only once, please').length, 1);
  assert.equal(new Set(tries).size, 1);

  await bobPage.context().setOffline(true);
  await bobPage.getByText('Connection lost').waitFor();
  await say(bobPage, 'Written in the dark');
  await bobPage.locator('.message.own.sending', { hasText: 'Written in the dark' }).waitFor();
  await say(alicePage, 'Are you there?');
  await bobPage.context().setOffline(false);
  await live(bobPage);
  await shown(bobPage, 'Are you there?');
  await shown(alicePage, 'Written in the dark');
  await shown(bobPage, 'Written in the dark');
  assertClean(alicePage, bobPage);
});

test('names, topics and messages full of markup stay text', async () => {
  const { alicePage, bobPage, alice, roomId } = await twoInARoom(browser, 'Markup');
  const evil = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
  const room = `/rooms/${encodeURIComponent(roomId)}`;
  await setName(alice, evil);
  await api(alice, 'PUT', `${room}/state/m.room.topic`, { topic: evil });
  await api(alice, 'PUT', `${room}/state/m.room.name`, { name: evil });
  await sendText(alice, roomId, 'markup', evil);
  await api(alice, 'PUT', `${room}/send/m.room.message/odd`, { msgtype: 'm.text', body: 'odd', formatted_body: evil, 'm.relates_to': [evil] });
  await api(alice, 'PUT', `${room}/send/m.room.message/link`, { msgtype: 'm.text', body: 'javascript:window.broken=1 https://example.org/"onclick=x' });
  await shown(bobPage, evil);
  await message(bobPage, 'https://example.org').waitFor();
  await bobPage.locator('#room-name', { hasText: '<script>' }).waitFor();
  assert.equal(await bobPage.locator('#room-topic').textContent(), evil);
  assert.equal(await bobPage.evaluate(() => window.broken), undefined);
  assert.equal(await bobPage.locator('#app img, #app script, #app [onclick]').count(), 0);
  assertClean(alicePage, bobPage);
});

test('an encrypted room is shown as such and cannot be written to', async () => {
  const page = await openWindow(browser);
  const session = await register(page, freshName('alice'));
  const { room_id: roomId } = await api(session, 'POST', '/createRoom', {
    name: 'Vault', preset: 'private_chat',
    initial_state: [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
  });
  await api(session, 'PUT', `/rooms/${encodeURIComponent(roomId)}/send/m.room.encrypted/one`, {
    algorithm: 'm.megolm.v1.aes-sha2', ciphertext: 'AwgAEnACgAkLmt6qF84IK', session_id: 'X3lUlvLELLYxeTx4yOVu6UDpasGEVO0J', device_id: 'DEV', sender_key: 'key',
  });
  await page.locator('.room-link', { hasText: 'Vault' }).click();
  await page.locator('#room-lock').waitFor();
  await message(page, 'Encrypted message').waitFor();
  await page.locator('#encrypted-note').waitFor();
  assert.equal(await page.locator('#composer').isHidden(), true);
  assertClean(page);
});

test('logging out forgets the session, and logging in finds the rooms again', async () => {
  const page = await openWindow(browser);
  const name = freshName('alice');
  await register(page, name, 'a long enough secret');
  await createRoom(page, { name: 'Still here' });
  await page.locator('#open-account').click();
  await page.getByLabel('Display name').fill('Alice of the stage');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('#me-name', { hasText: 'Alice of the stage' }).waitFor();
  await page.locator('#open-account').click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('tab', { name: 'Log in' }).click();
  assert.equal(await sessionOf(page), null);

  page.allow(/status of 403/);
  await enter(page, 'login', name, 'not this one');
  await page.getByText('do not go together').waitFor();
  await enter(page, 'login', name, 'a long enough secret');
  await page.locator('.room-link', { hasText: 'Still here' }).waitFor();
  assertClean(page);
});
