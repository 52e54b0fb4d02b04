//! The `redis` crate at three replicas of `vsr-kv`, in both versions of the protocol.

use redis::{Commands, Connection, RedisResult, cmd, pipe};
use std::collections::BTreeSet;
use vsr_kv::{
    dev::{Dev, config},
    server::{Password, Settings},
};

async fn dev() -> Dev {
    Dev::start(0, None, config(), Settings::default()).await.expect("free ports and a valid configuration")
}

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
    for address in dev.addresses() {
        let port = address.port();
        for version in [2, 3] {
            let used = tokio::task::spawn_blocking(move || {
                use_all_types(connect(port, version), &format!("{port}:{version}"))
            });
            used.await.expect("no panic").expect("no error");
        }
    }
    dev.shutdown().await.expect("healthy replicas");
}

/// Adds one by reading and writing: right only if nobody comes between unnoticed.
fn add_one(connection: &mut Connection, key: &str) -> RedisResult<()> {
    redis::transaction(connection, &[key], |connection, pipe| {
        let number: Option<u64> = connection.get(key)?;
        pipe.set(key, number.unwrap_or(0) + 1).ignore().query(connection)
    })
}

fn expire_scan_and_transact(mut connection: Connection, prefix: &str) -> RedisResult<()> {
    let key = |name: &str| format!("{prefix}:{name}");
    let () = connection.set_ex(key("e"), "value", 100)?;
    assert_eq!(connection.ttl::<_, i64>(key("e"))?, 100);
    assert!(connection.persist::<_, bool>(key("e"))?);
    assert_eq!(connection.ttl::<_, i64>(key("e"))?, -1);
    assert!(connection.expire::<_, bool>(key("e"), -1)?);
    assert_eq!(connection.get::<_, Option<String>>(key("e"))?, None);
    let old: Option<String> = connection.getset(key("g"), "1")?;
    assert_eq!(old, None);
    for number in 0..300 {
        let () = connection.set(key(&format!("scan:{number}")), number)?;
    }
    let found: RedisResult<Vec<String>> = connection.scan_match(key("scan:*"))?.collect();
    let found = found?;
    assert_eq!((found.len(), found.iter().collect::<BTreeSet<_>>().len()), (300, 300));
    assert_eq!(connection.keys::<_, Vec<String>>(key("scan:*"))?.len(), 300);
    let (set, number): (String, i64) =
        pipe().atomic().cmd("SET").arg(key("t")).arg("7").cmd("INCR").arg(key("t")).query(&mut connection)?;
    assert_eq!((set.as_str(), number), ("OK", 8));
    for _ in 0..20 {
        add_one(&mut connection, &key("sum"))?;
    }
    assert_eq!(connection.get::<_, u64>(key("sum"))?, 20);
    let () = cmd("READONLY").query(&mut connection)?;
    let _any: Option<String> = connection.get(key("sum"))?;
    let () = cmd("READWRITE").query(&mut connection)?;
    assert_eq!(connection.get::<_, u64>(key("sum"))?, 20);
    Ok(())
}

#[tokio::test]
async fn expiry_scans_and_transactions_work_at_every_replica_in_both_versions() {
    let dev = dev().await;
    for (address, version) in dev.addresses().iter().zip([2, 3, 2]) {
        let port = address.port();
        let used = tokio::task::spawn_blocking(move || {
            expire_scan_and_transact(connect(port, version), &format!("{port}:{version}"))
        });
        used.await.expect("no panic").expect("no error");
    }
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn additions_through_watch_are_counted_once_at_whatever_replicas() {
    let dev = dev().await;
    let mut workers = tokio::task::JoinSet::new();
    for address in dev.addresses() {
        let port = address.port();
        workers.spawn_blocking(move || {
            let mut connection = connect(port, 2);
            (0..50).try_for_each(|_| add_one(&mut connection, "sum"))
        });
    }
    for added in workers.join_all().await {
        added.expect("no error");
    }
    let port = dev.addresses()[0].port();
    let sum = tokio::task::spawn_blocking(move || connect(port, 3).get::<_, u64>("sum"));
    assert_eq!(sum.await.expect("no panic").expect("no error"), 150);
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn a_password_is_part_of_the_address() {
    let requirepass = Some(Password::from("secret".to_owned()));
    let settings = Settings { requirepass, ..Settings::default() };
    let dev = Dev::start(0, None, config(), settings).await.expect("free ports");
    let port = dev.addresses()[0].port();
    let used = tokio::task::spawn_blocking(move || {
        let open = |who: &str, suffix: &str| {
            let client = redis::Client::open(format!("redis://{who}127.0.0.1:{port}/{suffix}"))?;
            client.get_connection()?.set::<_, _, String>("k", "v")
        };
        for suffix in ["", "?protocol=resp3"] {
            assert_eq!(open(":secret@", suffix).expect("no error"), "OK");
            assert_eq!(open("default:secret@", suffix).expect("no error"), "OK");
            assert!(open(":wrong@", suffix).is_err() && open("", suffix).is_err());
        }
    });
    used.await.expect("no panic");
    dev.shutdown().await.expect("healthy replicas");
}
