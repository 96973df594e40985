"""The walk with mautrix, a framework for bots: a bot at work in somebody's room.

Takes the server from GREENROOM_URL. Exits 0 when every step came out as the
specification says, and 1 with one line about the first step that did not.
"""

import asyncio
import logging
import os
import sys
import uuid

import aiohttp
from mautrix.api import Method, Path
from mautrix.client import Client, InternalEventType, MembershipEventDispatcher
from mautrix.errors import MatrixRequestError
from mautrix.types import EventType, Filter, MessageType, RelationType, RoomCreatePreset, RoomFilter, TextMessageEventContent

PATIENCE_S = 30
"""How long anything may take before the walk gives up on it."""

TOMBSTONE = EventType.find("m.room.tombstone", EventType.Class.STATE)


class Difference(Exception):
    """The server did something else than the specification says."""


def check(holds, what):
    if not holds:
        raise Difference(what)


def same(found, expected, what):
    check(found == expected, f"{what}: expected {expected!r}, found {found!r}")


async def ok(step, what):
    """The answer of a step that must succeed."""
    try:
        return await step
    except MatrixRequestError as error:
        raise Difference(f"{what}: {error.errcode} {error}") from error


async def refused(step, code, what):
    """Checks that a step is refused with this Matrix code."""
    try:
        answer = await step
    except MatrixRequestError as error:
        same(error.errcode, code, what)
    else:
        raise Difference(f"{what}: expected {code}, found {answer!r}")


class Session:
    """A client with its own sync loop, and what it has seen by it."""

    def __init__(self, url, http, name):
        self.name = name
        self.client = Client(base_url=url, client_session=http)
        self.client.add_dispatcher(MembershipEventDispatcher)
        self.client.ignore_initial_sync = False
        self.events = []
        self.failure = None
        self.news = asyncio.Condition()
        self.client.add_event_handler(EventType.ALL, self.on_event)
        self.client.add_event_handler(InternalEventType.SYNC_SUCCESSFUL, self.wake)
        self.client.add_event_handler(InternalEventType.SYNC_ERRORED, self.on_failure)

    async def register(self):
        body = {"username": self.name, "password": "a secret", "auth": {"type": "m.login.dummy"}}
        answer = await ok(self.client.api.request(Method.POST, Path.v3.register, body), "register")
        login = await ok(self.client.login(answer["user_id"], password="a secret"), "login")
        same(login.user_id, answer["user_id"], "login: user id")
        return self

    @property
    def user_id(self):
        return self.client.mxid

    async def on_event(self, event):
        self.events.append(event)
        await self.wake()

    async def on_failure(self, event):
        self.failure = event["error"]
        await self.wake()

    async def wake(self, _event=None):
        async with self.news:
            self.news.notify_all()

    async def sees(self, predicate, what):
        """The first event by sync for which `predicate` is true."""
        found = lambda: next((event for event in self.events if predicate(event)), None)
        try:
            async with self.news:
                await asyncio.wait_for(self.news.wait_for(lambda: self.failure or found()), PATIENCE_S)
        except asyncio.TimeoutError:
            raise Difference(f"{what}: not seen by sync within {PATIENCE_S} s") from None
        check(self.failure is None, f"{what}: sync failed: {self.failure!r}")
        return found()

    def sees_message(self, body, what):
        def is_it(event):
            return event.type == EventType.ROOM_MESSAGE and event.content.body == body

        return self.sees(is_it, what)


class Bot(Session):
    """Joins where it is invited, answers orders, follows rooms that move."""

    def __init__(self, url, http, name):
        super().__init__(url, http, name)
        self.problem = None
        self.client.add_event_handler(InternalEventType.INVITE, self.on_invite)
        self.client.add_event_handler(EventType.ROOM_MESSAGE, self.on_message)
        self.client.add_event_handler(TOMBSTONE, self.on_tombstone)

    async def on_invite(self, event):
        if event.state_key == self.user_id:
            await self.client.join_room_by_id(event.room_id)

    async def on_tombstone(self, event):
        await self.client.join_room_by_id(event.content["replacement_room"])

    async def on_message(self, event):
        if event.sender == self.user_id:
            return
        if event.content.body == "!think":
            await self.client.set_typing(event.room_id, 30_000)
        if not event.content.body.startswith("!echo "):
            return
        said = event.content.body.removeprefix("!echo ")
        await self.client.send_receipt(event.room_id, event.event_id)
        await self.client.react(event.room_id, event.event_id, "✅")
        answer = TextMessageEventContent(msgtype=MessageType.NOTICE, body="thinking")
        answer.set_thread_parent(event)
        draft = await self.client.send_message(event.room_id, answer)
        final = TextMessageEventContent(msgtype=MessageType.NOTICE, body=said)
        final.set_edit(draft)
        await self.client.send_message(event.room_id, final)
        await self.client.set_typing(event.room_id, 0)


async def relations(session, room_id, event_id):
    event = await ok(
        session.client.api.request(Method.GET, Path.v3.rooms[room_id].event[event_id]), "event"
    )
    found = event["unsigned"].get("m.relations")
    check(found, "event: no bundled relations")
    return found


def types(event, room_id, user_ids):
    return event.type == EventType.TYPING and event.room_id == room_id and event.content.user_ids == user_ids


async def order(owner, bot, room_id):
    """The owner gives orders: the bot types; a reaction, a receipt, and an edited answer in a thread come back."""
    await ok(owner.client.send_text(room_id, "!think"), "send")
    await owner.sees(lambda e: types(e, room_id, [bot.user_id]), "the bot typing")
    owner.events.clear()
    asked = await ok(owner.client.send_text(room_id, "!echo hello"), "send")
    reaction = await owner.sees(
        lambda e: e.type == EventType.REACTION and e.content.relates_to.event_id == asked, "the reaction"
    )
    same((reaction.sender, reaction.content.relates_to.key), (bot.user_id, "✅"), "the reaction")
    await owner.sees(
        lambda e: e.type == EventType.RECEIPT and asked in e.content and e.room_id == room_id, "the receipt"
    )
    draft = await owner.sees_message("thinking", "the answer")
    same(draft.content.get_thread_parent(), asked, "the answer's thread")
    edit = await owner.sees(
        lambda e: e.type == EventType.ROOM_MESSAGE and e.content.get_edit() == draft.event_id, "the edit"
    )
    same(edit.content.relates_to.rel_type, RelationType.REPLACE, "the edit")
    await owner.sees(lambda e: types(e, room_id, []), "the bot no longer typing")
    thread = (await relations(owner, room_id, asked))["m.thread"]
    same((thread["count"], thread["latest_event"]["event_id"]), (1, draft.event_id), "the thread's summary")
    bundled = (await relations(owner, room_id, draft.event_id))["m.replace"]
    same(bundled["event_id"], edit.event_id, "the bundled edit")
    await refused(
        bot.client.react(room_id, asked, "✅"), "M_DUPLICATE_ANNOTATION", "the same reaction again"
    )
    await ok(bot.client.redact(room_id, reaction.event_id), "redact")
    gone = lambda e: e.type == EventType.ROOM_REDACTION and e.redacts == reaction.event_id
    await owner.sees(gone, "the reaction taken back")
    await ok(bot.client.react(room_id, asked, "✅"), "react once more")


async def first_sync(session, room_filter):
    """What a first sync has of rooms, as it came: the framework hands on its events, and no counts."""
    filter_id = await ok(session.client.create_filter(Filter(room=room_filter)), "create filter")
    answer = await ok(session.client.sync(timeout=0, filter_id=filter_id), "first sync")
    return answer["rooms"]


async def unread(owner, bot, room_id):
    """What the bot has not read is counted, and what speaks to it in particular."""

    async def counted(total, highlights, what):
        counts = (await first_sync(bot, RoomFilter()))["join"][room_id]["unread_notifications"]
        same((counts["notification_count"], counts["highlight_count"]), (total, highlights), what)

    await ok(bot.client.send_receipt(room_id, await ok(owner.client.send_text(room_id, "read"), "send")), "receipt")
    await counted(0, 0, "the counts after reading")
    await ok(owner.client.send_text(room_id, "for nobody in particular"), "send")
    await counted(1, 0, "one unread message")
    mention = {"msgtype": "m.text", "body": "Bot!", "m.mentions": {"user_ids": [bot.user_id]}}
    last = await ok(owner.client.send_message_event(room_id, EventType.ROOM_MESSAGE, mention), "send")
    await counted(2, 1, "a mention among the unread")
    await ok(bot.client.send_receipt(room_id, last), "receipt")
    await counted(0, 0, "the counts after reading all")


async def left_rooms(bot, room_id):
    """A first sync has the rooms one is out of where its filter asks for them."""
    rooms = await first_sync(bot, RoomFilter())
    check(room_id not in rooms.get("leave", {}), "a left room in a first sync that has not asked")
    rooms = await first_sync(bot, RoomFilter(include_leave=True))
    check(room_id in rooms["leave"], "no left room in a first sync that asked")
    last = rooms["leave"][room_id]["timeline"]["events"][-1]
    found = (last["type"], last["state_key"], last["content"]["membership"])
    same(found, ("m.room.member", bot.user_id, "leave"), "the left room's last event")


async def keep(bot, room_id):
    """A bot keeps its memory in account data and tags its rooms."""
    memory = {"orders": ["!echo hello"], "nested": {"deep": [1, None, "ü"]}}
    await ok(bot.client.set_account_data("org.example.memory", memory), "set account data")
    same(await ok(bot.client.get_account_data("org.example.memory"), "get account data"), memory, "account data")
    await ok(bot.client.set_account_data("org.example.memory", {"here": True}, room_id), "set account data")
    same(
        await ok(bot.client.get_account_data("org.example.memory", room_id), "get account data"),
        {"here": True},
        "account data of the room",
    )
    await bot.sees(lambda e: str(e.type) == "org.example.memory", "its own account data")


async def move(owner, bot, room_id):
    """The room is replaced, and the bot goes there by itself."""
    path = Path.v3.rooms[room_id].upgrade
    answer = await ok(owner.client.api.request(Method.POST, path, {"new_version": "12"}), "upgrade")
    new_id = answer["replacement_room"]
    await owner.sees(
        lambda e: e.type == EventType.ROOM_MEMBER and e.room_id == new_id and e.state_key == bot.user_id
        and e.content.membership.value == "join",
        "the bot in the new room",
    )
    await ok(owner.client.send_text(new_id, "!echo still here"), "send")
    await owner.sees(
        lambda e: e.type == EventType.ROOM_MESSAGE and e.room_id == new_id and e.content.get_edit() is not None,
        "the bot's answer in the new room",
    )
    return new_id


async def walk(url):
    tag = uuid.uuid4().hex[:12]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2 * PATIENCE_S)) as http:
        owner = await Session(url, http, f"mautrix_owner_{tag}").register()
        bot = await Bot(url, http, f"mautrix_bot_{tag}").register()
        for session in (owner, bot):
            session.client.start(None)
        try:
            room_id = await ok(
                owner.client.create_room(preset=RoomCreatePreset.PUBLIC, name="Workshop", invitees=[bot.user_id]),
                "create room",
            )
            await owner.sees(
                lambda e: e.type == EventType.ROOM_MEMBER and e.state_key == bot.user_id
                and e.content.membership.value == "join",
                "the bot's joining",
            )
            await order(owner, bot, room_id)
            await unread(owner, bot, room_id)
            await keep(bot, room_id)
            new_id = await move(owner, bot, room_id)
            await ok(owner.client.kick_user(new_id, bot.user_id, "thank you"), "kick")
            await bot.sees(
                lambda e: e.type == EventType.ROOM_MEMBER and e.room_id == new_id and e.state_key == bot.user_id
                and e.content.membership.value == "leave",
                "the bot's leaving",
            )
            await refused(bot.client.send_text(new_id, "after all"), "M_FORBIDDEN", "sending after a kick")
            await ok(owner.client.send_text(new_id, "The bot is gone"), "send")
            await left_rooms(bot, new_id)
        finally:
            for session in (owner, bot):
                session.client.stop()
        for session in (owner, bot):
            await ok(session.client.logout(clear_access_token=False), "logout")
            await refused(session.client.whoami(), "M_UNKNOWN_TOKEN", "whoami after logout")


def main():
    url = os.environ.get("GREENROOM_URL")
    if not url:
        sys.exit("GREENROOM_URL is not set")
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(asyncio.wait_for(walk(url.rstrip("/")), timeout=10 * PATIENCE_S))
    except Difference as difference:
        sys.exit(f"mautrix: {difference}")
    except asyncio.TimeoutError:
        sys.exit(f"mautrix: the walk took longer than {10 * PATIENCE_S} s")


if __name__ == "__main__":
    main()
