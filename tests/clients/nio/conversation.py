"""What people do beyond talking: reactions, edits, threads, deletions, what is unread, spaces."""

import nio
from nio.api import PushRuleKind, RelationshipType
from nio.responses import RoomUpgradeResponse

from checks import check, ok, same


def text(body, **more):
    return {"msgtype": "m.text", "body": body, **more}


async def send(session, room_id, content, kind="m.room.message"):
    return ok(await session.client.room_send(room_id, kind, content), nio.RoomSendResponse, "send").event_id


async def unread(alice, bob, room_id):
    """Bob's counts follow what Alice says, his receipts and his rules."""
    room = bob.client.rooms[room_id]

    async def counted(total, highlights, what):
        await bob.sees(lambda: (room.unread_notifications, room.unread_highlights) == (total, highlights), what)

    first = await send(alice, room_id, text("Nobody in particular"))
    await counted(1, 0, "one unread message")
    mentions = {"m.mentions": {"user_ids": [bob.client.user_id]}}
    await send(alice, room_id, text("Bob!", **mentions))
    await counted(2, 1, "a mention among the unread")
    ok(await bob.client.update_receipt_marker(room_id, first), nio.UpdateReceiptMarkerResponse, "receipt")
    await counted(1, 1, "the counts after reading the first")

    mute = await bob.client.set_pushrule("global", PushRuleKind.room, room_id, actions=[])
    ok(mute, nio.SetPushRuleResponse, "mute the room")
    await send(alice, room_id, text("Muted"))
    last = await send(alice, room_id, text("Bob, again", **mentions))
    await counted(2, 2, "a muted room counts mentions only")
    unmute = await bob.client.delete_pushrule("global", PushRuleKind.room, room_id)
    ok(unmute, nio.DeletePushRuleResponse, "unmute the room")
    ok(await bob.client.update_receipt_marker(room_id, last), nio.UpdateReceiptMarkerResponse, "receipt")
    await counted(0, 0, "the counts after reading all")


async def related(session, room_id, event_id, kind):
    return [e.event_id async for e in session.client.room_get_event_relations(room_id, event_id, kind)]


async def relate(alice, bob, room_id):
    """A reaction, an edit, a thread, and how the server keeps them together."""
    root = await send(alice, room_id, text("Who brings what?"))
    relation = {"rel_type": "m.annotation", "event_id": root, "key": "🎉"}
    reaction = await send(bob, room_id, {"m.relates_to": relation}, "m.reaction")
    same(await related(alice, room_id, root, RelationshipType.annotation), [reaction], "the reactions")
    again = await bob.client.room_send(room_id, "m.reaction", {"m.relates_to": relation})
    check(isinstance(again, nio.RoomSendError), "the same reaction again: not refused")
    same(again.status_code, "M_DUPLICATE_ANNOTATION", "the same reaction again")

    edit = text("* Who brings bread?", **{"m.new_content": text("Who brings bread?")})
    edit["m.relates_to"] = {"rel_type": "m.replace", "event_id": root}
    edited = await send(alice, room_id, edit)
    found = ok(await bob.client.room_get_event(room_id, root), nio.RoomGetEventResponse, "event")
    bundled = found.event.source["unsigned"]["m.relations"]["m.replace"]
    same(bundled["event_id"], edited, "the bundled edit")

    replies = []
    for number in range(12):
        reply = text(f"reply {number}")
        reply["m.relates_to"] = {"rel_type": "m.thread", "event_id": root}
        replies.append(await send((alice, bob)[number % 2], room_id, reply))
    listed = [
        e.event_id
        async for e in alice.client.room_get_event_relations(room_id, root, RelationshipType.thread, limit=5)
    ]
    same(listed, replies[::-1], "the thread by pages, newest first")
    threads = [e async for e in bob.client.room_get_threads(room_id)]
    same([e.event_id for e in threads], [root], "the list of threads")
    summary = threads[0].source["unsigned"]["m.relations"]["m.thread"]
    same((summary["count"], summary["latest_event"]["event_id"]), (12, replies[-1]), "the thread's summary")

    ok(
        await bob.client.update_receipt_marker(room_id, replies[-2], thread_id=root),
        nio.UpdateReceiptMarkerResponse,
        "threaded receipt",
    )
    read = (room_id, replies[-2], bob.client.user_id, "m.read", root)
    await alice.sees(lambda: read in alice.receipts, "bob's receipt in the thread")

    gone = await alice.client.room_redact(room_id, replies[0], "a mistake")
    ok(gone, nio.RoomRedactResponse, "redact")
    same(await related(bob, room_id, root, RelationshipType.thread), replies[:0:-1], "the thread without the deleted")


async def space(alice, bob, room_id):
    """A space shows its rooms to its members."""
    created = await alice.client.room_create(name="The park", space=True, invite=[bob.client.user_id])
    space_id = ok(created, nio.RoomCreateResponse, "create a space").room_id
    child = {"via": [alice.client.user_id.split(":", 1)[1]]}
    put = await alice.client.room_put_state(space_id, "m.space.child", child, state_key=room_id)
    ok(put, nio.RoomPutStateResponse, "add a room to the space")
    tree = ok(await bob.client.space_get_hierarchy(space_id), nio.SpaceGetHierarchyResponse, "hierarchy")
    same([room["room_id"] for room in tree.rooms], [space_id, room_id], "the space's rooms")


async def replace(alice, bob, room_id):
    """A room is replaced by a new one, and Bob follows."""
    invited = [bob.client.user_id]
    created = await alice.client.room_create(name="Too small", room_version="10", invite=invited)
    created = ok(created, nio.RoomCreateResponse, "create room")
    await alice.sees(lambda: created.room_id in alice.client.rooms, "the created room")
    ok(await bob.client.join(created.room_id), nio.JoinResponse, "join")
    await bob.sees(lambda: created.room_id in bob.client.rooms, "the joined room")
    upgraded = await alice.client.room_upgrade(created.room_id, "11")
    new_id = ok(upgraded, RoomUpgradeResponse, "upgrade").room_id
    tombstone = await alice.client.room_get_state_event(created.room_id, "m.room.tombstone")
    ok(tombstone, nio.RoomGetStateEventResponse, "tombstone")
    same(tombstone.content["replacement_room"], new_id, "tombstone")

    await bob.sees(lambda: bob.upgrades.get(created.room_id) == new_id, "the tombstone")
    ok(await alice.client.room_invite(new_id, bob.client.user_id), nio.RoomInviteResponse, "invite")
    ok(await bob.client.join(new_id), nio.JoinResponse, "join the new room")
    await bob.sees(lambda: new_id in bob.client.rooms, "the new room")
    same(bob.client.rooms[new_id].name, "Too small", "the new room's name")
    create = await bob.client.room_get_state_event(new_id, "m.room.create")
    predecessor = ok(create, nio.RoomGetStateEventResponse, "create event").content["predecessor"]
    same(predecessor["room_id"], created.room_id, "the new room's predecessor")


async def converse(alice, bob, room_id):
    await unread(alice, bob, room_id)
    await relate(alice, bob, room_id)
    await space(alice, bob, room_id)
    await replace(alice, bob, room_id)
