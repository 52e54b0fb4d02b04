//! The `redis` crate, in both versions of the protocol.

use super::{dev, port, roles};
use redis::{Commands, Connection, RedisResult, cmd, pipe};

fn connect(port: u16, version: u8) -> Connection {
    let suffix = if version == 3 { "?protocol=resp3" } else { "" };
    redis::Client::open(format!("redis://127.0.0.1:{port}/{suffix}"))
        .and_then(|client| client.get_connection())
        .expect("a connection")
}

fn use_all_types(mut connection: Connection, prefix: &str) -> RedisResult<()> {
    let key = |name: &str| format!("{prefix}:{name}");
    let () = connection.set(key("a"), "value")?;
    assert_eq!(connection.get::<_, String>(key("a"))?, "value");
    assert_eq!(connection.get::<_, Option<String>>(key("missing"))?, None);
    assert_eq!(connection.incr::<_, _, i64>(key("n"), 5)?, 5);
    assert_eq!(connection.append::<_, _, usize>(key("a"), "s")?, 6);
    let () = connection.mset(&[(key("b"), "1"), (key("c"), "2")])?;
    let values: Vec<Option<i64>> = connection.mget(&[key("b"), key("missing"), key("c")])?;
    assert_eq!(values, [Some(1), None, Some(2)]);
    assert_eq!(connection.del::<_, u64>(&[key("b"), key("c")])?, 2);
    assert!(!connection.exists::<_, bool>(key("b"))?);
    let (first, all): (i64, Vec<String>) =
        pipe().cmd("INCR").arg(key("n")).cmd("MGET").arg(key("n")).query(&mut connection)?;
    assert_eq!((first, all), (6, vec!["6".to_owned()]));
    let error = cmd("INCR").arg(key("a")).query::<i64>(&mut connection).expect_err("it is no number");
    assert!(error.to_string().contains("not an integer"), "{error}");
    // The connection goes on after an error.
    assert_eq!(connection.get::<_, String>(key("a"))?, "values");
    Ok(())
}

#[tokio::test]
async fn the_redis_crate_works_at_every_replica_in_both_versions() {
    let dev = dev().await;
    let (primary, mut ids) = roles(&dev).await;
    ids.push(primary);
    for id in ids {
        let port = port(&dev, id);
        for version in [2, 3] {
            let used = tokio::task::spawn_blocking(move || {
                use_all_types(connect(port, version), &format!("{port}:{version}"))
            });
            used.await.expect("no panic").expect("no error");
        }
    }
    dev.shutdown().await.expect("healthy replicas");
}
