// The walk with matrix-js-sdk: two people meet in a room and part again.
//
// Takes the server from GREENROOM_URL. Exits 0 when every step came out as the
// specification says, and 1 with one line about the first step that did not.

import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { converse } from "./conversation.mjs";
import { Difference, PATIENCE_MS, Session, check, login, newClient, ok, refused, register, same, sameList, say, show } from "./session.mjs";

/** Messages to page back through: several pages of `PAGE`. */
const HISTORY = 25;
const PAGE = 7;

async function accounts(url, tag) {
    const bobsName = `js_bob_${tag}`;
    same(await ok(newClient(url).isUsernameAvailable(bobsName), "available"), true, "a free name's availability");
    const alice = await register(url, `js_alice_${tag}`, "alice's secret");
    const bob = await register(url, bobsName, "bob's secret");
    const again = { username: bobsName, password: "x", auth: { type: "m.login.dummy" } };
    await refused(newClient(url).registerRequest(again), "M_USER_IN_USE", "registering a taken name");

    const { flows } = await ok(newClient(url).loginFlows(), "login flows");
    check(
        flows.some((flow) => flow.type === "m.login.password"),
        `login flows: no password login in ${show(flows)}`,
    );
    await refused(login(url, bob.userId, "not bob's secret"), "M_FORBIDDEN", "login with a wrong password");
    const laptop = new Session(url, await ok(login(url, bob.userId, "bob's secret"), "login"));
    same(laptop.userId, bob.userId, "login: user id");
    check(laptop.deviceId !== bob.deviceId, "login: a second session shares the first one's device");
    for (const session of [alice, bob, laptop]) await session.who();
    return { alice, bob, laptop };
}

async function profiles(alice, bob) {
    await ok(alice.client.setDisplayName("Alice Öz"), "set name");
    await ok(bob.client.setDisplayName("Bob"), "set name");
    const found = await ok(alice.client.getProfileInfo(bob.userId), "profile");
    same(found.displayname, "Bob", "profile");
    const name = await ok(bob.client.getProfileInfo(alice.userId, "displayname"), "get name");
    same(name, { displayname: "Alice Öz" }, "get name");
}

/** Alice creates a room and invites Bob, who joins by its alias. */
async function meet(alice, bob, tag) {
    const created = await ok(
        alice.client.createRoom({
            room_alias_name: `js_walk_${tag}`,
            name: "The walk",
            topic: "Along the river",
            preset: "private_chat",
        }),
        "create room",
    );
    const roomId = created.room_id;
    const alias = `#js_walk_${tag}:${alice.userId.slice(alice.userId.indexOf(":") + 1)}`;
    same((await ok(bob.client.getRoomIdForAlias(alias), "resolve alias")).room_id, roomId, "resolve alias");
    await alice.sees(() => alice.membership(roomId, alice.userId) === "join", "the created room");

    await refused(bob.client.joinRoom(alias), "M_FORBIDDEN", "joining a private room uninvited");
    await ok(alice.client.invite(roomId, bob.userId), "invite");
    await bob.sees(() => bob.room(roomId)?.getMyMembership() === "invite", "the invite");
    same(bob.room(roomId).getMember(bob.userId).events.member.getSender(), alice.userId, "invite: sender");
    same(bob.room(roomId).name, "The walk", "invite: room name in the invite state");

    same((await ok(bob.client.joinRoom(alias), "join by alias")).roomId, roomId, "join by alias");
    await bob.sees(
        () => bob.room(roomId).getMyMembership() === "join" && bob.membership(roomId, alice.userId) === "join",
        "the joined room",
    );
    await alice.sees(() => alice.membership(roomId, bob.userId) === "join", "the other's join");
    for (const session of [alice, bob]) {
        const room = session.room(roomId);
        same(room.name, "The walk", "room name");
        same(room.currentState.getStateEvents("m.room.topic", "").getContent().topic, "Along the river", "topic");
        same(room.getCanonicalAlias(), alias, "canonical alias");
        same(
            Object.fromEntries(room.getJoinedMembers().map((member) => [member.userId, member.name])),
            { [alice.userId]: "Alice Öz", [bob.userId]: "Bob" },
            "joined members by sync",
        );
    }
    const { joined } = await ok(bob.client.getJoinedRoomMembers(roomId), "joined members");
    same(
        Object.fromEntries(Object.entries(joined).map(([userId, member]) => [userId, member.display_name])),
        { [alice.userId]: "Alice Öz", [bob.userId]: "Bob" },
        "joined members",
    );
    return roomId;
}

/** Both say something and see the other's words; then Alice goes on and on. */
async function talk(alice, bob, roomId) {
    const said = [[await say(alice, roomId, "Hello, Bob! 🌿"), alice.userId, "Hello, Bob! 🌿"]];
    await bob.sees(() => isDeepStrictEqual(bob.messages(roomId), said), "alice's message");
    said.push([await say(bob, roomId, "Hello, Alice"), bob.userId, "Hello, Alice"]);
    await alice.sees(() => isDeepStrictEqual(alice.messages(roomId), said), "bob's answer");
    for (let n = 0; n < HISTORY; n++) {
        said.push([await say(alice, roomId, `message ${n}`), alice.userId, `message ${n}`]);
    }
    for (const session of [alice, bob]) {
        await session.sees(() => session.messages(roomId).length >= said.length, "the rest of the talk");
        sameList(session.messages(roomId), said, "messages in order by sync");
    }
    return said;
}

/** A new session's short first sync, and everything before it by paging. */
async function lookBack(laptop, roomId, said) {
    await laptop.start(5);
    const room = laptop.room(roomId);
    const timeline = room.getLiveTimeline();
    same(timeline.getEvents().length, 5, "first sync: events for a limit of 5");
    same([room.name, room.getJoinedMemberCount()], ["The walk", 2], "first sync: the state before those events");
    for (let pages = 0; room.oldState.paginationToken !== null; pages++) {
        check(pages < 100, "messages: paging back does not end");
        const before = timeline.getEvents().length;
        await ok(laptop.client.scrollback(room, PAGE), "messages");
        const page = timeline.getEvents().length - before;
        check(page <= PAGE, `messages: ${page} events for a limit of ${PAGE}`);
    }
    const ids = timeline.getEvents().map((event) => event.getId());
    same(new Set(ids).size, ids.length, "history: an event comes twice");
    same(timeline.getEvents()[0].getType(), "m.room.create", "history: the first event");
    sameList(laptop.messages(roomId), said, "history: messages in order");
}

/** Typing, a read receipt and a new name reach the other side. */
async function signsOfLife(alice, bob, roomId, lastId) {
    const bobSeen = () => alice.room(roomId).getMember(bob.userId);
    await ok(bob.client.sendTyping(roomId, true, PATIENCE_MS), "typing");
    await alice.sees(() => bobSeen().typing, "bob typing");
    await ok(bob.client.sendTyping(roomId, false, 0), "typing stops");
    await alice.sees(() => !bobSeen().typing, "bob no longer typing");

    await ok(bob.client.sendReadReceipt(bob.room(roomId).findEventById(lastId)), "receipt");
    await alice.sees(() => alice.receipts.includes([roomId, lastId, bob.userId, "main"].join(" ")), "bob's read receipt");

    await ok(bob.client.setDisplayName("Robert"), "set name");
    await alice.sees(() => bobSeen().name === "Robert", "bob's new name in the room");
}

/** A new session is not told of rooms that one has left until it asks; then it sees them up to the leave. */
async function leftRooms(url, alice, bob, roomId) {
    await say(alice, roomId, "Bob has left");
    const session = new Session(url, await ok(login(url, bob.userId, "bob's secret"), "login"));
    await session.start(20);
    same(session.room(roomId), null, "a left room in a first sync that has not asked");
    const left = await ok(session.client.syncLeftRooms(), "sync of left rooms");
    const room = left.find((one) => one.roomId === roomId);
    same([room?.getMyMembership(), room?.name], ["leave", "The walk"], "the left room");
    const last = room.getLiveTimeline().getEvents().at(-1);
    same([last.getType(), last.getStateKey(), last.getContent().membership], ["m.room.member", bob.userId, "leave"], "the left room's last event");
    session.client.stopClient();
    await ok(session.client.logout(), "logout");
}

/** Bob leaves; everybody logs out; no token works afterwards. */
async function part(url, alice, bob, laptop, roomId) {
    await ok(bob.client.leave(roomId), "leave");
    await alice.sees(() => alice.membership(roomId, bob.userId) === "leave", "bob's leaving");
    await bob.sees(() => bob.room(roomId).getMyMembership() === "leave", "his own leaving");
    const { joined } = await ok(alice.client.getJoinedRoomMembers(roomId), "joined members");
    same(Object.keys(joined), [alice.userId], "joined members after the leave");
    await leftRooms(url, alice, bob, roomId);

    for (const session of [bob, laptop, alice]) {
        session.client.stopClient();
        await ok(session.client.logout(), "logout");
        await refused(session.client.whoami(), "M_UNKNOWN_TOKEN", "whoami after logout");
        if (session === bob) await laptop.who(); // One session's logout leaves the other alone.
    }
}

async function walk(url) {
    const tag = randomUUID().slice(0, 8);
    const { alice, bob, laptop } = await accounts(url, tag);
    await profiles(alice, bob);
    for (const session of [alice, bob]) await session.start(20);
    const roomId = await meet(alice, bob, tag);
    const said = await talk(alice, bob, roomId);
    await lookBack(laptop, roomId, said);
    await signsOfLife(alice, bob, roomId, said.at(-1)[0]);
    await converse(alice, bob, roomId);
    await part(url, alice, bob, laptop, roomId);
}

function fail(why) {
    console.error(`matrix-js-sdk: ${why}`);
    process.exit(1);
}

const url = process.env.GREENROOM_URL;
if (!url) fail("GREENROOM_URL is not set");
setTimeout(() => fail(`the walk took longer than ${10 * PATIENCE_MS} ms`), 10 * PATIENCE_MS);
walk(url.replace(/\/+$/, "")).then(
    () => process.exit(0),
    (error) => fail(error instanceof Difference ? error.message : error.stack),
);
