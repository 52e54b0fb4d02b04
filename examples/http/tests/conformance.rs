//! The transport keeps the duties of a transport, over real sockets.

use axum::{
    extract::Request,
    middleware::{Next, from_fn},
};
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
};
use tokio::sync::watch;
use vsr_actor::{
    Message, OpNumber, ReplicaId, ViewNumber,
    vsr_core::{Body, ClusterId, EpochNumber, GroupId, Incarnation},
};
use vsr_http::{
    node::Server,
    transport::{Peers, route},
};
use vsr_test::transport_conformance::{Inbox, Network, every_kind};

struct Http {
    addresses: Vec<(ReplicaId, SocketAddr)>,
    places: BTreeMap<ReplicaId, Place>,
}

/// What stays of a replica between two lives.
struct Place {
    listener: TcpListener,
    server: Option<Server>,
    /// Whether it leaves requests without a response.
    hangs: watch::Sender<bool>,
}

impl Http {
    fn new(ids: &[ReplicaId]) -> Self {
        let mut http = Self { addresses: Vec::new(), places: BTreeMap::new() };
        for id in ids {
            let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
            listener.set_nonblocking(true).expect("sockets can do that");
            http.addresses.push((*id, listener.local_addr().expect("it is bound")));
            http.places.insert(*id, Place { listener, server: None, hangs: watch::Sender::new(false) });
        }
        http
    }
}

impl Network for Http {
    type Transport = Peers;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Peers {
        let place = self.places.get_mut(&id).expect("it is one of them");
        let hanging = place.hangs.subscribe();
        let hang = from_fn(move |request: Request, next: Next| {
            let mut hanging = hanging.clone();
            async move {
                let _ = hanging.wait_for(|hangs| !hangs).await;
                next.run(request).await
            }
        });
        // The port stays the replica's own between its lives: connections are made, and nobody answers.
        let listener = place.listener.try_clone().expect("there is a descriptor");
        let listener = tokio::net::TcpListener::from_std(listener).expect("it is a socket");
        let routes = route(move |message| inbox.deliver(message)).layer(hang);
        place.server = Some(Server::start(listener, routes));
        Peers::new(&self.addresses)
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        let place = self.places.get_mut(&id).expect("it is one of them");
        place.hangs.send_replace(false);
        if let Some(server) = place.server.take() {
            server.shutdown().await.expect("it served");
        }
    }

    fn stall(&mut self, id: ReplicaId) {
        self.places[&id].hangs.send_replace(true);
    }

    fn resume(&mut self, id: ReplicaId) {
        self.places[&id].hangs.send_replace(false);
    }
}

vsr_test::transport_conformance!(Http::new);

#[test]
fn messages_read_well() {
    let body = Body::Commit { commit: OpNumber(6), beat: 7, pace: 8, heard: 9 };
    let commit = Message {
        cluster: ClusterId(1),
        group: GroupId(2),
        epoch: EpochNumber(0),
        view: ViewNumber(3),
        from: ReplicaId(4),
        incarnation: Incarnation(5),
        body,
    };
    let text = serde_json::to_string(&commit).expect("it has a JSON form");
    let wanted = r#"{"cluster":1,"group":2,"epoch":0,"view":3,"from":4,"incarnation":5,"body":{"Commit":{"commit":6,"beat":7,"pace":8,"heard":9}}}"#;
    assert_eq!(text, wanted);
    // What clients sent is hexadecimal text, not a list of numbers.
    let texts =
        every_kind().into_iter().map(|message| serde_json::to_string(&message).expect("all have one"));
    assert!(!texts.into_iter().any(|text| text.contains(",0,0,0,")), "bytes as numbers");
}
