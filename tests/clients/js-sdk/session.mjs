// One matrix-js-sdk client with its own live sync loop, and how the walks check what they see.

import { isDeepStrictEqual, inspect } from "node:util";
import "./quiet.mjs";
import * as sdk from "matrix-js-sdk";

/** How long anything may take before the walk gives up on it. */
export const PATIENCE_MS = 30_000;
/** How long the server may park one sync. */
const LONG_POLL_MS = 10_000;
/** The server did something else than the specification says. */
export class Difference extends Error {}

export function show(value) {
    return inspect(value, { breakLength: Infinity });
}

export function check(holds, what) {
    if (!holds) throw new Difference(what);
}

export function same(found, expected, what) {
    check(isDeepStrictEqual(found, expected), `${what}: expected ${show(expected)}, found ${show(found)}`);
}

/** Names the first place where two lists differ. */
export function sameList(found, expected, what) {
    const length = Math.min(found.length, expected.length);
    for (let place = 0; place < length; place++) {
        same(found[place], expected[place], `${what}: at ${place} of ${expected.length}`);
    }
    same(found.length, expected.length, `${what}: length`);
}

/** The answer of a step that must succeed, or a difference named after it. */
export async function ok(step, what) {
    try {
        return await step;
    } catch (error) {
        throw new Difference(`${what}: ${error}`);
    }
}

/** Checks that a step is refused with this Matrix code. */
export async function refused(step, code, what) {
    const error = await step.then(
        (answer) => check(false, `${what}: expected ${code}, found ${show(answer)}`),
        (reason) => reason,
    );
    if (error instanceof Difference) throw error;
    check(error instanceof sdk.MatrixError, `${what}: expected ${code}, found ${error}`);
    same(error.errcode, code, what);
}

export function newClient(url, session = {}) {
    return sdk.createClient({ baseUrl: url, localTimeoutMs: PATIENCE_MS, ...session });
}

/** A client with its own live sync loop. */
export class Session {
    constructor(url, answer) {
        this.userId = answer.user_id;
        this.deviceId = answer.device_id;
        this.token = answer.access_token;
        this.client = newClient(url, {
            userId: this.userId,
            deviceId: this.deviceId,
            accessToken: this.token,
        });
        this.syncState = null;
        this.receipts = [];
        this.client.on(sdk.ClientEvent.Sync, (state, _before, detail) => {
            this.syncState = state;
            this.syncError = detail?.error;
        });
        this.client.on(sdk.RoomEvent.Receipt, (event, room) => {
            for (const [eventId, byType] of Object.entries(event.getContent())) {
                for (const [userId, { thread_id: thread }] of Object.entries(byType["m.read"] ?? {})) {
                    this.receipts.push([room.roomId, eventId, userId, thread].join(" "));
                }
            }
        });
    }

    async start(initialSyncLimit) {
        await ok(this.client.startClient({ initialSyncLimit, pollTimeout: LONG_POLL_MS, threadSupport: true }), "start");
        await this.sees(() => this.syncState === "PREPARED" || this.syncState === "SYNCING", "the first sync");
    }

    /** Waits until a sync response has made `predicate` true. */
    async sees(predicate, what) {
        await new Promise((resolve, reject) => {
            const give = (settle, value) => {
                clearTimeout(deadline);
                this.client.off(sdk.ClientEvent.Sync, look);
                settle(value);
            };
            const look = () => {
                if (this.syncState === "ERROR" || this.syncState === "RECONNECTING") {
                    give(reject, new Difference(`${what}: sync failed: ${this.syncError}`));
                } else if (predicate()) {
                    give(resolve);
                }
            };
            const deadline = setTimeout(
                () => give(reject, new Difference(`${what}: not seen by sync within ${PATIENCE_MS} ms`)),
                PATIENCE_MS,
            );
            this.client.on(sdk.ClientEvent.Sync, look);
            look();
        });
    }

    room(roomId) {
        return this.client.getRoom(roomId);
    }

    membership(roomId, userId) {
        return this.room(roomId)?.getMember(userId)?.membership;
    }

    /** Messages of the room's timeline as [event id, sender, body], oldest first. */
    messages(roomId) {
        return this.room(roomId)
            .getLiveTimeline()
            .getEvents()
            .filter((event) => event.getType() === "m.room.message")
            .map((event) => [event.getId(), event.getSender(), event.getContent().body]);
    }

    async who() {
        const answer = await ok(this.client.whoami(), "whoami");
        same([answer.user_id, answer.device_id], [this.userId, this.deviceId], "whoami");
    }
}

/** Registers by the session dance: asks what is wanted, then does it. */
export async function register(url, username, password) {
    const client = newClient(url);
    const wanted = await client.registerRequest({ username, password }).then(
        () => check(false, "register: succeeded without authentication"),
        (error) => error,
    );
    if (wanted instanceof Difference) throw wanted;
    same(wanted.httpStatus, 401, "register: status without authentication");
    const { session, flows } = wanted.data;
    check(session, "register: no session");
    check(
        flows.some((flow) => isDeepStrictEqual(flow.stages, ["m.login.dummy"])),
        `register: no flow of m.login.dummy alone: ${show(flows)}`,
    );
    const auth = { type: "m.login.dummy", session };
    const answer = await ok(client.registerRequest({ username, password, auth }), "register");
    check(answer.user_id.startsWith(`@${username}:`), `register: user id is ${answer.user_id}`);
    return new Session(url, answer);
}

export async function login(url, user, password) {
    return newClient(url).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user },
        password,
        initial_device_display_name: "laptop",
    });
}

/** Sends a text and answers its event id. */
export async function say(session, roomId, body, txnId) {
    const content = { msgtype: "m.text", body };
    return (await ok(session.client.sendEvent(roomId, "m.room.message", content, txnId), "send")).event_id;
}
