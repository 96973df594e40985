"""The walk with matrix-nio: two people meet in a room and part again.

Takes the server from GREENROOM_URL. Exits 0 when every step came out as the
specification says, and 1 with one line about the first step that did not.
"""

import asyncio
import os
import sys
import uuid

import aiohttp
import nio

from checks import Difference, check, ok, refused, same, same_list
from conversation import converse

PATIENCE_S = 30
"""How long anything may take before the walk gives up on it."""

LONG_POLL_MS = 10_000
"""How long the server may park one sync."""

HISTORY = 25
"""Messages to page back through: several pages of `PAGE`."""

PAGE = 7


class Session:
    """One nio client with its own live sync loop, and what it has seen."""

    def __init__(self, url, localpart):
        config = nio.AsyncClientConfig(max_timeouts=0, max_limit_exceeded=0, request_timeout=PATIENCE_S)
        self.client = nio.AsyncClient(url, localpart, config=config)
        self.messages = []
        self.receipts = []
        self.left = set()  # nio keeps a left room among its rooms.
        self.upgrades = {}
        self.failure = None
        self.loop = None
        self.synced = asyncio.Condition()
        self.client.add_event_callback(self.on_message, nio.RoomMessageText)
        self.client.add_event_callback(self.on_upgrade, nio.RoomUpgradeEvent)
        self.client.add_ephemeral_callback(self.on_receipts, nio.ReceiptEvent)
        self.client.add_response_callback(self.on_sync, nio.SyncResponse)
        self.client.add_response_callback(self.on_failed_sync, nio.SyncError)

    async def on_message(self, room, event):
        self.messages.append((room.room_id, event.event_id, event.sender, event.body))

    async def on_upgrade(self, room, event):
        self.upgrades[room.room_id] = event.replacement_room

    async def on_receipts(self, room, event):
        self.receipts += [
            (room.room_id, r.event_id, r.user_id, r.receipt_type, r.thread_id) for r in event.receipts
        ]

    async def on_sync(self, response):
        self.left.update(response.rooms.leave)
        await self.wake()

    async def on_failed_sync(self, error):
        self.failure = error
        await self.wake()

    async def wake(self):
        async with self.synced:
            self.synced.notify_all()

    def start(self):
        self.loop = asyncio.create_task(self.client.sync_forever(timeout=LONG_POLL_MS))

    async def sees(self, predicate, what):
        """Waits until a sync response has made `predicate` true."""

        def done():
            return self.failure is not None or self.loop.done() or predicate()

        async def until_done():
            async with self.synced:
                await self.synced.wait_for(done)

        waiting = asyncio.create_task(until_done())
        await asyncio.wait({waiting, self.loop}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        check(self.failure is None, f"{what}: sync failed: {self.failure}")
        if self.loop.done():
            raise Difference(f"{what}: the sync loop ended: {self.loop.exception()!r}")
        check(predicate(), f"{what}: not seen by sync within {PATIENCE_S} s")

    async def stop(self):
        if self.loop is not None:
            self.loop.cancel()
            await asyncio.gather(self.loop, return_exceptions=True)
            self.loop = None

    async def close(self):
        await self.stop()
        await self.client.close()


async def register(session, password):
    localpart = session.client.user
    answer = ok(
        await session.client.register(localpart, password, "the walk"),
        nio.RegisterResponse,
        "register",
    )
    check(answer.user_id.startswith(f"@{localpart}:"), f"register: user id is {answer.user_id!r}")
    check(answer.device_id and answer.access_token, "register: no device or no token")


async def who(session):
    answer = ok(await session.client.whoami(), nio.WhoamiResponse, "whoami")
    return answer.user_id, answer.device_id


async def page_back(client, room_id, start):
    """Every event before `start`, newest first, page by page."""
    events, pages = [], 0
    while start is not None:
        page = ok(
            await client.room_messages(room_id, start, limit=PAGE),
            nio.RoomMessagesResponse,
            "messages",
        )
        check(len(page.chunk) <= PAGE, f"messages: {len(page.chunk)} events for a limit of {PAGE}")
        same(page.start, start, "messages: start")
        check(page.end != start, "messages: the page ends where it started")
        events += page.chunk
        start = page.end
        pages += 1
        check(pages <= 100, "messages: paging back does not end")
    return events


async def accounts(alice, bob, laptop):
    """Registers both, and opens bob's other session by login."""
    await register(alice, "alice's secret")
    await register(bob, "bob's secret")
    refused(
        await laptop.client.register(bob.client.user, "x"), "M_USER_IN_USE", "registering a taken name"
    )
    refused(await laptop.client.login("not bob's secret"), "M_FORBIDDEN", "login with a wrong password")
    login = ok(await laptop.client.login("bob's secret", "laptop"), nio.LoginResponse, "login")
    same(login.user_id, bob.client.user_id, "login: user id")
    check(login.device_id != bob.client.device_id, "login: a second session shares the first one's device")
    check(login.access_token != bob.client.access_token, "login: two sessions share a token")
    for session in (alice, bob, laptop):
        same(await who(session), (session.client.user_id, session.client.device_id), "whoami")


async def profiles(alice, bob):
    ok(await alice.client.set_displayname("Alice Öz"), nio.ProfileSetDisplayNameResponse, "set name")
    ok(await bob.client.set_displayname("Bob"), nio.ProfileSetDisplayNameResponse, "set name")
    name = await bob.client.get_displayname(alice.client.user_id)
    same(ok(name, nio.ProfileGetDisplayNameResponse, "get name").displayname, "Alice Öz", "get name")
    profile = ok(await alice.client.get_profile(bob.client.user_id), nio.ProfileGetResponse, "profile")
    same(profile.displayname, "Bob", "profile")


async def meet(alice, bob, tag):
    """Alice creates a room and invites Bob, who joins by its alias."""
    created = ok(
        await alice.client.room_create(alias=f"walk_{tag}", name="The walk", topic="Along the river"),
        nio.RoomCreateResponse,
        "create room",
    )
    room_id = created.room_id
    alias = f"#walk_{tag}:{alice.client.user_id.split(':', 1)[1]}"
    resolved = ok(await bob.client.room_resolve_alias(alias), nio.RoomResolveAliasResponse, "resolve alias")
    same(resolved.room_id, room_id, "resolve alias")
    await alice.sees(lambda: room_id in alice.client.rooms, "the created room")

    refused(await bob.client.join(alias), "M_FORBIDDEN", "joining a private room uninvited")
    ok(await alice.client.room_invite(room_id, bob.client.user_id), nio.RoomInviteResponse, "invite")
    await bob.sees(lambda: room_id in bob.client.invited_rooms, "the invite")
    invited = bob.client.invited_rooms[room_id]
    same(invited.inviter, alice.client.user_id, "invite: inviter")
    same(invited.name, "The walk", "invite: room name in the invite state")

    joined = ok(await bob.client.join(alias), nio.JoinResponse, "join by alias")
    same(joined.room_id, room_id, "join by alias")
    await bob.sees(lambda: room_id in bob.client.rooms, "the joined room")
    await alice.sees(
        lambda: bob.client.user_id in alice.client.rooms[room_id].users, "the other's join"
    )
    for session in (alice, bob):
        room = session.client.rooms[room_id]
        same((room.name, room.topic), ("The walk", "Along the river"), "room name and topic")
        same(room.canonical_alias, alias, "canonical alias")
        same(room.user_name(alice.client.user_id), "Alice Öz", "display name in the room")
    members = ok(await bob.client.joined_members(room_id), nio.JoinedMembersResponse, "joined members")
    same(
        {m.user_id: m.display_name for m in members.members},
        {alice.client.user_id: "Alice Öz", bob.client.user_id: "Bob"},
        "joined members",
    )
    return room_id


async def say(session, room_id, body, tx_id=None):
    content = {"msgtype": "m.text", "body": body}
    sent = await session.client.room_send(room_id, "m.room.message", content, tx_id)
    return ok(sent, nio.RoomSendResponse, "send").event_id


async def talk(alice, bob, room_id):
    """Both say something and see the other's words; then Alice goes on and on."""
    hello = await say(alice, room_id, "Hello, Bob! 🌿", "hello")
    line = (room_id, hello, alice.client.user_id, "Hello, Bob! 🌿")
    await bob.sees(lambda: line in bob.messages, "alice's message")
    same(await say(alice, room_id, "Hello, Bob! 🌿", "hello"), hello, "the same transaction id again")

    reply = await say(bob, room_id, "Hello, Alice")
    line = (room_id, reply, bob.client.user_id, "Hello, Alice")
    await alice.sees(lambda: line in alice.messages, "bob's answer")

    said = [hello, reply]
    for n in range(HISTORY):
        said.append(await say(alice, room_id, f"message {n}"))
    for session in (alice, bob):
        await session.sees(lambda s=session: len(s.messages) >= len(said), "the rest of the talk")
        same_list([event_id for _, event_id, _, _ in session.messages], said, "messages in order by sync")
    return said


async def look_back(laptop, room_id, said):
    """A new session's short first sync, and everything before it by paging."""
    first = ok(
        await laptop.client.sync(0, {"room": {"timeline": {"limit": 5}}}), nio.SyncResponse, "first sync"
    )
    timeline = first.rooms.join[room_id].timeline
    same(len(timeline.events), 5, "first sync: events for a limit of 5")
    check(timeline.limited, "first sync: not limited, though there is more")
    before = await page_back(laptop.client, room_id, timeline.prev_batch)
    events = [*reversed(before), *timeline.events]
    ids = [event.event_id for event in events]
    same(len(ids), len(set(ids)), "history: an event comes twice")
    same(events[0].source["type"], "m.room.create", "history: the first event")
    found = [(e.event_id, e.body) for e in events if isinstance(e, nio.RoomMessageText)]
    same_list([event_id for event_id, _ in found], said, "history: messages in order")
    same_list(
        [body for _, body in found[2:]], [f"message {n}" for n in range(HISTORY)], "history: bodies in order"
    )


async def signs_of_life(alice, bob, room_id, last):
    """Typing, a read receipt and a new name reach the other side."""
    room = alice.client.rooms[room_id]
    ok(await bob.client.room_typing(room_id, True), nio.RoomTypingResponse, "typing")
    await alice.sees(lambda: room.typing_users == [bob.client.user_id], "bob typing")
    ok(await bob.client.room_typing(room_id, False), nio.RoomTypingResponse, "typing stops")
    await alice.sees(lambda: room.typing_users == [], "bob no longer typing")

    ok(await bob.client.update_receipt_marker(room_id, last), nio.UpdateReceiptMarkerResponse, "receipt")
    receipt = (room_id, last, bob.client.user_id, "m.read", "main")
    await alice.sees(lambda: receipt in alice.receipts, "bob's read receipt")

    ok(await bob.client.set_displayname("Robert"), nio.ProfileSetDisplayNameResponse, "set name")
    await alice.sees(lambda: room.user_name(bob.client.user_id) == "Robert", "bob's new name in the room")


async def left_rooms(laptop, room_id, said_after):
    """A first sync has the rooms one has left where its filter asks for them, up to the leave."""

    async def first_sync(room_filter):
        laptop.client.next_batch = None
        return ok(await laptop.client.sync(0, {"room": room_filter}), nio.SyncResponse, "first sync").rooms

    check(room_id not in (await first_sync({})).leave, "a left room in a first sync that has not asked")
    rooms = await first_sync({"include_leave": True})
    check(room_id not in rooms.join, "a left room among the joined ones")
    check(room_id in rooms.leave, "no left room in a first sync that asked")
    events = rooms.leave[room_id].timeline.events
    check(events, "the left room without a timeline")
    check(said_after not in [event.event_id for event in events], "the left room shows what was said later")
    own = events[-1].source
    same((own["type"], own["content"]["membership"]), ("m.room.member", "leave"), "the left room's last event")


async def part(alice, bob, laptop, room_id):
    """Bob leaves; everybody logs out; no token works afterwards."""
    ok(await bob.client.room_leave(room_id), nio.RoomLeaveResponse, "leave")
    await alice.sees(lambda: bob.client.user_id not in alice.client.rooms[room_id].users, "bob's leaving")
    await bob.sees(lambda: room_id in bob.left, "his own leaving")
    members = ok(await alice.client.joined_members(room_id), nio.JoinedMembersResponse, "joined members")
    same([m.user_id for m in members.members], [alice.client.user_id], "joined members after the leave")
    await left_rooms(laptop, room_id, await say(alice, room_id, "Bob has left"))

    for number, session in enumerate((bob, laptop, alice)):
        await session.stop()
        token = session.client.access_token
        ok(await session.client.logout(), nio.LogoutResponse, "logout")
        session.client.access_token = token  # nio forgets it; the server must have, too.
        refused(await session.client.whoami(), "M_UNKNOWN_TOKEN", "whoami after logout")
        if number == 0:
            await who(laptop)  # One session's logout leaves the other alone.


async def walk(url):
    tag = uuid.uuid4().hex[:12]
    alice = Session(url, f"nio_alice_{tag}")
    bob = Session(url, f"nio_bob_{tag}")
    laptop = Session(url, f"nio_bob_{tag}")
    try:
        await accounts(alice, bob, laptop)
        await profiles(alice, bob)
        for session in (alice, bob):
            session.start()
        room_id = await meet(alice, bob, tag)
        said = await talk(alice, bob, room_id)
        await look_back(laptop, room_id, said)
        await signs_of_life(alice, bob, room_id, said[-1])
        await converse(alice, bob, room_id)
        await part(alice, bob, laptop, room_id)
    except (OSError, aiohttp.ClientError) as error:
        raise Difference(f"the connection failed: {error!r}") from error
    finally:
        for session in (alice, bob, laptop):
            await session.close()


def main():
    url = os.environ.get("GREENROOM_URL")
    if not url:
        sys.exit("GREENROOM_URL is not set")
    try:
        asyncio.run(asyncio.wait_for(walk(url.rstrip("/")), timeout=10 * PATIENCE_S))
    except Difference as difference:
        sys.exit(f"matrix-nio: {difference}")
    except asyncio.TimeoutError:
        sys.exit(f"matrix-nio: the walk took longer than {10 * PATIENCE_S} s")


if __name__ == "__main__":
    main()
