//! Who was last said to be online.

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use greenroom_storage::{PresenceStore, StorageError};
use ruma::OwnedUserId;

use crate::{
    Db,
    connection::{FromDiesel, on_either},
    rows::id,
    schema::online_users,
};

#[async_trait]
impl PresenceStore for Db {
    async fn set_online(&self, changes: Vec<(OwnedUserId, bool)>) -> Result<(), StorageError> {
        self.write(move |tx| {
            for (user_id, online) in &changes {
                if *online {
                    let row = || online_users::user_id.eq(user_id.as_str());
                    on_either!(tx.conn, c => diesel::insert_into(online_users::table)
                        .values(row())
                        .on_conflict(online_users::user_id)
                        .do_nothing()
                        .execute(c))
                    .map_err(StorageError::from_diesel)?;
                } else {
                    diesel::delete(online_users::table.find(user_id.as_str()))
                        .execute(tx.conn)
                        .map_err(StorageError::from_diesel)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn online_users(&self) -> Result<Vec<OwnedUserId>, StorageError> {
        self.read(|conn| {
            let users: Vec<String> = online_users::table
                .select(online_users::user_id)
                .order(online_users::user_id.asc())
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            users
                .into_iter()
                .map(|user_id| id(user_id, "user ID"))
                .collect()
        })
        .await
    }
}
