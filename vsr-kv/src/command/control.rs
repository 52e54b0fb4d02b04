//! From the words of a request to an order for the group. The table has checked the arity.

use super::{ErrorText, readable};
use crate::server::Control;
use crate::store::parse_integer;
use bytes::Bytes;

fn replica(word: &[u8]) -> Result<u64, ErrorText> {
    parse_integer(word).and_then(|id| u64::try_from(id).ok()).ok_or_else(|| {
        format!("ERR '{}' is no replica: replicas are numbered from 0", readable(word, 32)).into()
    })
}

pub(super) fn crash(words: &[Bytes]) -> Result<Control, ErrorText> {
    Ok(Control::Crash(replica(&words[1])?))
}

pub(super) fn restart(words: &[Bytes]) -> Result<Control, ErrorText> {
    Ok(Control::Restart(replica(&words[1])?))
}

pub(super) fn heal(_: &[Bytes]) -> Result<Control, ErrorText> {
    Ok(Control::Heal)
}

pub(super) fn partition(words: &[Bytes]) -> Result<Control, ErrorText> {
    if words.len() == 1 {
        return Ok(Control::IsolatePrimary);
    }
    let mut named = Vec::new();
    let mut groups = Vec::new();
    for word in &words[1..] {
        let group = word.split(|byte| *byte == b',').map(replica).collect::<Result<Vec<u64>, _>>()?;
        for id in &group {
            if named.contains(id) {
                return Err(format!("ERR replica {id} is named twice").into());
            }
            named.push(*id);
        }
        groups.push(group);
    }
    Ok(Control::Partition(groups))
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;

    #[test]
    fn partitions() {
        let parse = |line: &str| partition(&request(line)).map_err(ErrorText::into_owned);
        assert_eq!(parse("VSR.PARTITION"), Ok(Control::IsolatePrimary));
        assert_eq!(parse("VSR.PARTITION 0,2 1"), Ok(Control::Partition(vec![vec![0, 2], vec![1]])));
        assert_eq!(parse("VSR.PARTITION 0 0"), Err("ERR replica 0 is named twice".into()));
        assert!(parse("VSR.PARTITION 0,").is_err());
        assert!(parse("VSR.PARTITION -1").is_err());
    }
}
