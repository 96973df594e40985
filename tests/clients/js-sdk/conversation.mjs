// What people do in a conversation beyond talking: answers, threads, edits, reactions,
// deletions, unread counts, search, and moving to another room.

import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import * as sdk from "matrix-js-sdk";
import { check, ok, refused, same, say } from "./session.mjs";

const send = async (session, roomId, type, content) =>
    (await ok(session.client.sendEvent(roomId, type, content), `send ${type}`)).event_id;

/** Sends past the SDK's own timeline, which takes a message in a thread for somebody else's if sync brings it first. */
async function put(session, roomId, content) {
    const path = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${randomUUID()}`;
    return (await ok(session.client.http.authedRequest(sdk.Method.Put, path, undefined, content), "send")).event_id;
}

const text = (body, more = {}) => ({ msgtype: "m.text", body, ...more });

const event = (session, roomId, eventId) => session.room(roomId).findEventById(eventId);

/** Bob has read nothing of what Alice says; both of his counts are right, and reading clears them. */
async function unread(alice, bob, roomId) {
    const room = () => bob.room(roomId);
    const counts = () => [room().getUnreadNotificationCount("total"), room().getUnreadNotificationCount("highlight")];
    const last = await say(alice, roomId, "Nobody in particular");
    await bob.sees(() => isDeepStrictEqual(counts(), [1, 0]), "one unread message");
    const mention = await send(alice, roomId, "m.room.message", text("Bob!", { "m.mentions": { user_ids: [bob.userId] } }));
    await bob.sees(() => isDeepStrictEqual(counts(), [2, 1]), "a mention among the unread");
    await send(alice, roomId, "m.room.message", { msgtype: "m.notice", body: "a notice by a bot" });
    const after = await say(alice, roomId, "And one more");
    await bob.sees(() => isDeepStrictEqual(counts(), [3, 1]), "a notice that does not notify");
    await ok(bob.client.sendReceipt(event(bob, roomId, mention), "m.read"), "receipt");
    await bob.sees(() => isDeepStrictEqual(counts(), [1, 0]), "the counts after reading up to the mention");
    await ok(bob.client.sendReceipt(event(bob, roomId, after), "m.read.private"), "private receipt");
    await bob.sees(() => isDeepStrictEqual(counts(), [0, 0]), "the counts after reading all");
    same(alice.room(roomId).getEventReadUpTo(bob.userId), mention, "a private receipt is nobody else's");
    check(last, "an event id");
}

/** An edit, an edit by somebody else, a reaction twice, a reply, a deletion. */
async function relate(alice, bob, roomId) {
    const original = await say(alice, roomId, "At noon?");
    await bob.sees(() => event(bob, roomId, original), "the message to be edited");
    const replace = { rel_type: "m.replace", event_id: original };
    const edit = (body) => text(`* ${body}`, { "m.new_content": text(body), "m.relates_to": replace });
    await send(alice, roomId, "m.room.message", edit("At one?"));
    await send(bob, roomId, "m.room.message", edit("Never"));
    const reply = await send(bob, roomId, "m.room.message", text("Fine", { "m.relates_to": { "m.in_reply_to": { event_id: original } } }));
    await bob.sees(() => event(bob, roomId, original).getContent().body === "At one?" && event(bob, roomId, reply), "the edit");
    const fetched = await ok(bob.client.fetchRoomEvent(roomId, original), "event");
    same(fetched.content.body, "At noon?", "the original stays what it was");
    same(fetched.unsigned["m.relations"]["m.replace"].content["m.new_content"].body, "At one?", "the bundled edit");
    same(event(alice, roomId, reply)?.replyEventId ?? original, original, "reply");

    const annotation = { "m.relates_to": { rel_type: "m.annotation", event_id: original, key: "🎉" } };
    const reaction = await send(bob, roomId, "m.reaction", annotation);
    await refused(bob.client.sendEvent(roomId, "m.reaction", annotation), "M_DUPLICATE_ANNOTATION", "the same reaction again");
    const found = await ok(alice.client.relations(roomId, original, "m.annotation", "m.reaction"), "relations");
    same(found.events.map((one) => one.getId()), [reaction], "the reactions to a message");

    await ok(bob.client.redactEvent(roomId, reply), "redact");
    await alice.sees(() => event(alice, roomId, reply)?.isRedacted(), "the deleted reply");
    same((await ok(alice.client.fetchRoomEvent(roomId, reply), "event")).content, {}, "the deleted reply's content");
}

/** A thread with its root, summary, own count of what is unread, and its place in the list of threads. */
async function thread(alice, bob, roomId) {
    const root = await say(bob, roomId, "Who brings what?");
    await alice.sees(() => event(alice, roomId, root), "the thread's root");
    const inThread = (body) => text(body, { "m.relates_to": { rel_type: "m.thread", event_id: root, is_falling_back: true, "m.in_reply_to": { event_id: root } } });
    await put(alice, roomId, inThread("I bring bread"));
    const last = await put(alice, roomId, inThread("And salt"));
    const known = () => bob.room(roomId).getThread(root);
    await bob.sees(() => known()?.length === 2, "the thread of two replies");
    await bob.sees(() => bob.room(roomId).getThreadUnreadNotificationCount(root, "total") === 2, "two unread in the thread");
    same(bob.room(roomId).getRoomUnreadNotificationCount("total"), 0, "none of them in the room itself");
    const { unsigned } = await ok(alice.client.fetchRoomEvent(roomId, root), "event");
    const summary = unsigned["m.relations"]["m.thread"];
    same([summary.count, summary.latest_event.event_id, summary.current_user_participated], [2, last, true], "the thread's summary");
    await bob.sees(() => known().replyToEvent?.getId() === last, "the thread's last message");
    await ok(bob.client.sendReceipt(known().replyToEvent, "m.read"), "threaded receipt");
    await alice.sees(() => alice.receipts.includes([roomId, last, bob.userId, root].join(" ")), "bob's receipt in the thread");
    await bob.sees(() => bob.room(roomId).getThreadUnreadNotificationCount(root, "total") === 0, "the thread is read");
    const list = await ok(
        bob.client.createThreadListMessagesRequest(roomId, null, 10, sdk.Direction.Backward, sdk.ThreadFilterType.All),
        "threads",
    );
    same(list.chunk.map((one) => one.event_id), [root], "the list of threads");
}

/** What was said is found again, and what was deleted is not. */
async function search(alice, bob, roomId) {
    const word = `needle${Date.now()}`;
    const kept = await say(alice, roomId, `a ${word} in the hay`);
    const deleted = await say(alice, roomId, `another ${word}`);
    await ok(alice.client.redactEvent(roomId, deleted), "redact");
    const answer = await ok(bob.client.searchMessageText({ query: word }), "search");
    const { results } = answer.search_categories.room_events;
    same(results.map(({ result }) => result.event_id), [kept], "search");
}

/** The room is replaced; Bob follows into the new one. */
async function move(alice, bob, roomId) {
    const { replacement_room: newId } = await ok(alice.client.upgradeRoom(roomId, "12"), "upgrade");
    await bob.sees(() => bob.room(roomId).currentState.getStateEvents("m.room.tombstone", "")?.getContent().replacement_room === newId, "the tombstone");
    await ok(alice.client.invite(newId, bob.userId), "invite into the new room");
    await ok(bob.client.joinRoom(newId), "join the new room");
    await bob.sees(() => bob.room(newId)?.getMyMembership() === "join", "the new room");
    same(bob.room(newId).name, "The walk", "the new room's name");
    same(bob.room(newId).findPredecessor()?.roomId, roomId, "the new room's predecessor");
    await ok(bob.client.leave(newId), "leave the new room");
}

export async function converse(alice, bob, roomId) {
    await unread(alice, bob, roomId);
    await relate(alice, bob, roomId);
    await thread(alice, bob, roomId);
    await search(alice, bob, roomId);
    await move(alice, bob, roomId);
}
