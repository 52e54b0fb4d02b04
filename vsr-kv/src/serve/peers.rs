//! Who belongs to the group, and where each listens for the others.

use serde::Deserialize;
use std::{fmt, str::FromStr};
use vsr_actor::{ReplicaId, vsr_core::ClusterId};

/// A member of the group: `0=127.0.0.1:7400`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Peer {
    /// Its name.
    pub id: ReplicaId,
    /// A host, by name or number, and a port.
    pub address: String,
}

/// What is wrong with a text that should name a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not like `0=127.0.0.1:7400`: {what}")]
#[non_exhaustive]
pub struct PeerError {
    /// The text.
    pub text: String,
    /// What is wrong.
    pub what: &'static str,
}

impl FromStr for Peer {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        let wrong = |what| PeerError { text: text.to_owned(), what };
        let (id, address) = text.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
        let id = id.parse().map_err(|_| wrong("what is before `=` is no number"))?;
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("the address has no port"))?;
        if host.is_empty() || address.contains(char::is_whitespace) {
            return Err(wrong("the address has no host"));
        }
        if port.parse::<u16>().is_ok_and(|port| port > 0) {
            Ok(Self { id: ReplicaId(id), address: address.to_owned() })
        } else {
            Err(wrong("the port is not between 1 and 65535"))
        }
    }
}

impl TryFrom<String> for Peer {
    type Error = PeerError;

    fn try_from(text: String) -> Result<Self, PeerError> {
        text.parse()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.id.0, self.address)
    }
}

/// The name of the cluster of these peers, where none was given: the same for all who were told the same list, and another for any other
/// list, so that groups do not form of replicas whose lists differ. Short enough to be read aloud.
pub(super) fn cluster_of(peers: &[Peer]) -> ClusterId {
    let mut sorted: Vec<_> = peers.iter().map(ToString::to_string).collect();
    sorted.sort_unstable();
    ClusterId(xxhash_rust::xxh3::xxh3_64(sorted.join("\n").as_bytes()) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_a_number_a_host_and_a_port() {
        for text in ["0=127.0.0.1:7400", "12=db-12.example.org:1", "3=[::1]:7403"] {
            assert_eq!(text.parse::<Peer>().expect(text).to_string(), text);
        }
        for text in
            ["127.0.0.1:7400", "x=h:1", "-1=h:1", "0=h", "0=:7400", "0=h:0", "0=h:70000", "0=h:x", "0= h:1"]
        {
            let told = text.parse::<Peer>().expect_err(text).to_string();
            assert!(told.contains(text) && told.contains("0=127.0.0.1:7400"), "{told}");
        }
    }

    #[test]
    fn the_cluster_is_that_of_the_list_in_any_order() {
        let peers =
            |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect::<Vec<Peer>>();
        let cluster = cluster_of(&peers(&["0=a:1", "1=b:1", "2=c:1"]));
        assert_eq!(cluster, cluster_of(&peers(&["2=c:1", "0=a:1", "1=b:1"])));
        assert_ne!(cluster, cluster_of(&peers(&["0=a:1", "1=b:1", "2=c:2"])));
        assert_ne!(cluster, cluster_of(&peers(&["0=a:1", "1=b:1"])));
        // It is in every message and file of a group: another way to compute it is another cluster.
        assert_eq!(cluster, ClusterId(1_799_563_571));
    }
}
