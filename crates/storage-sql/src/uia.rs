//! Sessions of user-interactive authentication.

use async_trait::async_trait;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_storage::{StorageError, UiaSession, UiaStore};

use crate::{
    Db,
    connection::FromDiesel,
    rows::{damaged, id, ms, ts},
    schema::uia_sessions,
    text::{pack, pack_owned, unpack},
};

type Row = (
    String,
    Option<String>,
    String,
    Vec<u8>,
    String,
    Option<String>,
    i64,
);

fn session(row: Row) -> Result<UiaSession, StorageError> {
    let (session_id, user_id, endpoint, request_hash, completed, proof, expires_ts) = row;
    Ok(UiaSession {
        session_id: unpack(session_id),
        user_id: user_id.map(|user_id| id(user_id, "user ID")).transpose()?,
        endpoint: unpack(endpoint),
        request_hash,
        completed: serde_json::from_str(&completed).map_err(|_| damaged("list of stages"))?,
        proof: proof.map(unpack),
        expires_ts_ms: ms(expires_ts),
    })
}

fn stages(completed: &[String]) -> String {
    serde_json::Value::from(completed).to_string()
}

#[async_trait]
impl UiaStore for Db {
    async fn start(&self, session: UiaSession, now_ms: u64) -> Result<(), StorageError> {
        self.write(move |tx| {
            diesel::delete(uia_sessions::table.filter(uia_sessions::expires_ts.le(ts(now_ms))))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            diesel::insert_into(uia_sessions::table)
                .values((
                    uia_sessions::session_id.eq(pack(&session.session_id)),
                    uia_sessions::user_id.eq(session.user_id.map(|user_id| user_id.to_string())),
                    uia_sessions::endpoint.eq(pack(&session.endpoint)),
                    uia_sessions::request_hash.eq(session.request_hash),
                    uia_sessions::completed.eq(stages(&session.completed)),
                    uia_sessions::proof.eq(session.proof.as_deref().map(pack)),
                    uia_sessions::expires_ts.eq(ts(session.expires_ts_ms)),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(())
        })
        .await
    }

    async fn uia_session(
        &self,
        session_id: &str,
        now_ms: u64,
    ) -> Result<Option<UiaSession>, StorageError> {
        let session_id = pack_owned(session_id);
        self.read(move |conn| {
            let row: Option<Row> = uia_sessions::table
                .find(session_id)
                .filter(uia_sessions::expires_ts.gt(ts(now_ms)))
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            row.map(session).transpose()
        })
        .await
    }

    async fn complete_stage(
        &self,
        session_id: &str,
        stage: &str,
        proof: Option<String>,
    ) -> Result<(), StorageError> {
        let (session_id, stage) = (pack_owned(session_id), stage.to_owned());
        self.write(move |tx| {
            let row: Option<Row> = uia_sessions::table
                .find(&session_id)
                .first(tx.conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            let Some(mut session) = row.map(session).transpose()? else {
                return Ok(());
            };
            if !session.completed.contains(&stage) {
                session.completed.push(stage);
            }
            diesel::update(uia_sessions::table.find(&session_id))
                .set((
                    uia_sessions::completed.eq(stages(&session.completed)),
                    uia_sessions::proof.eq(proof.or(session.proof).as_deref().map(pack)),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(())
        })
        .await
    }

    async fn finish(&self, session_id: &str) -> Result<bool, StorageError> {
        let session_id = pack_owned(session_id);
        self.write(move |tx| {
            let ended = diesel::delete(uia_sessions::table.find(session_id))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(ended == 1)
        })
        .await
    }
}
