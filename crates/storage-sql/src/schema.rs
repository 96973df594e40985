//! The tables as diesel sees them: the same on both engines.

use diesel::{allow_tables_to_appear_in_same_query, table};

table! { server (id) { id -> BigInt, server_name -> Text, position -> BigInt, } }

table! {
    accounts (user_id) {
        user_id -> Text,
        password_hash -> Nullable<Text>,
        admin -> Bool,
        deactivated -> Bool,
        created_ts -> BigInt,
    }
}

table! {
    devices (user_id, device_id) {
        user_id -> Text,
        device_id -> Text,
        display_name -> Nullable<Text>,
        created_ts -> BigInt,
    }
}

table! {
    access_tokens (token_hash) {
        token_hash -> Binary,
        user_id -> Text,
        device_id -> Text,
        expires_ts -> Nullable<BigInt>,
    }
}

table! {
    refresh_tokens (token_hash) {
        token_hash -> Binary,
        user_id -> Text,
        device_id -> Text,
        used -> Bool,
        next_access -> Nullable<Binary>,
        traded_ts -> Nullable<BigInt>,
    }
}

table! {
    registration_tokens (token) {
        token -> Text,
        uses_allowed -> Nullable<BigInt>,
        uses -> BigInt,
        expires_ts -> Nullable<BigInt>,
    }
}

table! {
    uia_sessions (session_id) {
        session_id -> Text,
        user_id -> Nullable<Text>,
        endpoint -> Text,
        request_hash -> Binary,
        completed -> Text,
        proof -> Nullable<Text>,
        expires_ts -> BigInt,
    }
}

table! {
    rooms (room_id) {
        room_id -> Text,
        version -> Text,
        creator -> Text,
        created_ts -> BigInt,
        txn_key -> Nullable<Binary>,
        published -> Bool,
        name -> Nullable<Text>,
        topic -> Nullable<Text>,
        canonical_alias -> Nullable<Text>,
        avatar_url -> Nullable<Text>,
        join_rule -> Nullable<Text>,
        guest_access -> Nullable<Text>,
        history_visibility -> Nullable<Text>,
        room_type -> Nullable<Text>,
        search_text -> Nullable<Text>,
        joined_members -> BigInt,
        invited_members -> BigInt,
    }
}

table! {
    events (position) {
        position -> BigInt,
        event_id -> Text,
        room_id -> Text,
        event_type -> Text,
        state_key -> Nullable<Text>,
        sender -> Text,
        origin_server_ts -> BigInt,
        depth -> BigInt,
        json -> Binary,
        redacted_by -> Nullable<Text>,
        replaces_state -> Nullable<Text>,
        txn_key -> Nullable<Binary>,
        device_id -> Nullable<Text>,
        txn_id -> Nullable<Text>,
    }
}

table! {
    room_state (room_id, event_type, state_key, position) {
        room_id -> Text,
        event_type -> Text,
        state_key -> Text,
        position -> BigInt,
        replaced_at -> BigInt,
        event_position -> BigInt,
    }
}

table! {
    memberships (room_id, user_id) {
        room_id -> Text,
        user_id -> Text,
        membership -> Text,
        position -> BigInt,
        event_id -> Text,
        sender -> Text,
        display_name -> Nullable<Text>,
        avatar_url -> Nullable<Text>,
        forgotten -> Bool,
    }
}

table! { search_progress (id) { id -> BigInt, version -> BigInt, position -> BigInt, } }

table! { time_steps (room_id, position) { room_id -> Text, position -> BigInt, } }

table! { room_aliases (alias) { alias -> Text, room_id -> Text, creator -> Text, } }

table! {
    profile_fields (user_id, field) { user_id -> Text, field -> Text, value -> Binary, }
}

table! { profile_changes (user_id) { user_id -> Text, version -> BigInt, } }

table! {
    account_data (user_id, room_id, data_type) {
        user_id -> Text,
        room_id -> Text,
        data_type -> Text,
        content -> Binary,
        position -> BigInt,
    }
}

table! {
    filters (user_id, filter_id) { user_id -> Text, filter_id -> Text, content -> Binary, }
}

table! {
    receipts (room_id, user_id, receipt_type, thread_id) {
        room_id -> Text,
        user_id -> Text,
        receipt_type -> Text,
        thread_id -> Text,
        event_id -> Text,
        event_position -> BigInt,
        ts -> BigInt,
        position -> BigInt,
    }
}

table! {
    unread (user_id, room_id) {
        user_id -> Text,
        room_id -> Text,
        judged_upto -> BigInt,
        events -> Binary,
    }
}

table! {
    pushers (app_id, pushkey, user_id) {
        app_id -> Text,
        pushkey -> Text,
        user_id -> Text,
        device_id -> Text,
        app_display_name -> Text,
        device_display_name -> Text,
        profile_tag -> Nullable<Text>,
        lang -> Text,
        data -> Binary,
        set_ts -> BigInt,
        position -> BigInt,
        unread_told -> Nullable<BigInt>,
        failures -> BigInt,
        retry_ts -> BigInt,
    }
}

table! {
    online_users (user_id) {
        user_id -> Text,
    }
}

table! {
    relations (position) {
        position -> BigInt,
        target -> Binary,
        rel_type -> Text,
        event_type -> Text,
        sender -> Text,
        edit_ts -> Nullable<BigInt>,
        annotation -> Nullable<Binary>,
    }
}

table! {
    indirect_relations (target, position) {
        target -> Binary,
        position -> BigInt,
        depth -> BigInt,
        rel_type -> Nullable<Text>,
        event_type -> Nullable<Text>,
    }
}

table! {
    aggregations (target) {
        target -> Binary,
        room_id -> Text,
        event_id -> Text,
        edits -> BigInt,
        referrers -> BigInt,
        replies -> BigInt,
        latest_reply -> Nullable<BigInt>,
    }
}

table! {
    reports (report_id) {
        report_id -> BigInt,
        received_ts -> BigInt,
        reporter -> Text,
        room_id -> Nullable<Text>,
        event_id -> Nullable<Text>,
        user_id -> Nullable<Text>,
        reason -> Nullable<Text>,
        closed_ts -> Nullable<BigInt>,
    }
}

table! { directory_words (user_id, word) { user_id -> Text, word -> Text, } }

allow_tables_to_appear_in_same_query!(
    events,
    room_state,
    memberships,
    rooms,
    accounts,
    directory_words
);
allow_tables_to_appear_in_same_query!(events, relations, indirect_relations);
