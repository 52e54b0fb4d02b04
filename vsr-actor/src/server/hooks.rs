//! The callbacks of a [`VsrServer`] behind one type, so that a replica of a plain state machine needs no wrapper and pays nothing.

use super::{Context, Next, PeerState, Stop, VsrServer};
use crate::{Replies, ReplyTo, RequestError, StateMachine, Transport};
use std::{future::Future, marker::PhantomData, pin::Pin};
use vsr_core::{Message, ReplicaId};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What [`VsrServer`] has beside [`StateMachine`], without its generic futures.
pub(crate) trait Hooks<M: StateMachine>: Send + Sync {
    fn init<'a>(&self, server: &'a mut M, ctx: &'a mut Context<M>) -> Boxed<'a, Result<(), Stop>>;
    fn handle_continue(&self, server: &mut M, ctx: &mut Context<M>) -> Next;
    fn handle_idle(&self, server: &mut M, ctx: &mut Context<M>) -> Next;
    fn monitor_node(&self, server: &mut M, peer: ReplicaId, state: PeerState, ctx: &mut Context<M>) -> Next;
    fn terminate<'a>(&self, server: &'a mut M, why: &'a Stop) -> Boxed<'a, ()>;
    fn send_vsr(&self, server: &mut M, to: ReplicaId, message: Message, default: &mut dyn Transport);
    fn send_reply(
        &self,
        server: &mut M,
        to: ReplyTo<M::Reply>,
        reply: Result<M::Reply, RequestError>,
        default: &mut dyn Replies<M::Reply>,
    );
}

struct Served<S>(PhantomData<fn(S)>);

/// The callbacks of `S`.
pub(crate) fn hooks_of<S: VsrServer>() -> &'static dyn Hooks<S> {
    const { &Served::<S>(PhantomData) }
}

impl<S: VsrServer> Hooks<S> for Served<S> {
    fn init<'a>(&self, server: &'a mut S, ctx: &'a mut Context<S>) -> Boxed<'a, Result<(), Stop>> {
        Box::pin(server.init(ctx))
    }

    fn handle_continue(&self, server: &mut S, ctx: &mut Context<S>) -> Next {
        server.handle_continue(ctx)
    }

    fn handle_idle(&self, server: &mut S, ctx: &mut Context<S>) -> Next {
        server.handle_idle(ctx)
    }

    fn monitor_node(&self, server: &mut S, peer: ReplicaId, state: PeerState, ctx: &mut Context<S>) -> Next {
        server.monitor_node(peer, state, ctx)
    }

    fn terminate<'a>(&self, server: &'a mut S, why: &'a Stop) -> Boxed<'a, ()> {
        Box::pin(server.terminate(why))
    }

    fn send_vsr(&self, server: &mut S, to: ReplicaId, message: Message, default: &mut dyn Transport) {
        server.send_vsr(to, message, default);
    }

    fn send_reply(
        &self,
        server: &mut S,
        to: ReplyTo<S::Reply>,
        reply: Result<S::Reply, RequestError>,
        default: &mut dyn Replies<S::Reply>,
    ) {
        server.send_reply(to, reply, default);
    }
}
