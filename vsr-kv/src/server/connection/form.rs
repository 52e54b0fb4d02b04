//! How a reply of the store is written: in the words of the connection when it asked.

use super::super::error;
use crate::resp::{Protocol, Writer};
use crate::store::Reply;
use bytes::{Bytes, BytesMut};
use vsr_actor::RequestError;

#[derive(Debug, Default)]
pub(super) struct Form {
    protocol: Protocol,
    muted: bool,
    /// Of a transaction: replies that do not come from the store, at their places.
    places: Vec<Option<Bytes>>,
}

impl Form {
    pub(super) fn new(protocol: Protocol, muted: bool) -> Self {
        Self { protocol, muted, places: Vec::new() }
    }

    /// The same for a transaction: each place is a reply as it is written, or the next one of the store.
    pub(super) fn with_places(self, places: Vec<Option<Bytes>>) -> Self {
        Self { places, ..self }
    }

    pub(super) fn write(
        self,
        reply: Result<Reply, RequestError>,
        out: &mut BytesMut,
        loading: impl FnOnce() -> bool,
    ) {
        if self.muted {
            return;
        }
        let mut writer = Writer::new(out, self.protocol);
        match reply {
            Err(error) => writer.error(&error::text(&error, loading())),
            Ok(Reply::Many(replies)) => {
                writer.array(self.places.len());
                let mut replies = replies.iter();
                for place in &self.places {
                    match place {
                        Some(bytes) => writer.written(bytes),
                        None => replies.next().into_iter().for_each(|reply| write(reply, &mut writer)),
                    }
                }
            }
            Ok(reply) => write(&reply, &mut writer),
        }
    }
}

fn write(reply: &Reply, writer: &mut Writer<'_>) {
    match reply {
        Reply::Ok => writer.simple("OK"),
        Reply::Nil => writer.null(),
        Reply::Int(number) => writer.int(*number),
        Reply::Bulk(bytes) => writer.bulk(bytes),
        Reply::Array(values) => {
            writer.array(values.len());
            for value in values {
                match value {
                    None => writer.null(),
                    Some(bytes) => writer.bulk(bytes),
                }
            }
        }
        Reply::Type(kind) => writer.simple(kind.name()),
        Reply::Scanned { cursor, keys } => {
            writer.array(2);
            writer.bulk(cursor.to_string().as_bytes());
            writer.array(keys.len());
            keys.iter().for_each(|key| writer.bulk(key));
        }
        Reply::Many(replies) => {
            writer.array(replies.len());
            replies.iter().for_each(|reply| write(reply, writer));
        }
        Reply::Aborted => writer.null_array(),
        Reply::Error(error) => writer.error(&error.to_string()),
    }
}
