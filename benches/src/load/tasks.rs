//! Load through a client library that wants a runtime: a task a client, all on one thread.

use super::{Figures, Keys, Load, Recorder};
use std::{cell::RefCell, rc::Rc, time::Instant};
use tokio::task::LocalSet;

/// Lets all clients ask until the time of the load is over.
///
/// Errors end the run: a server that fails under this load is not worth a figure.
pub(crate) async fn run<C, F>(
    clients: Vec<C>,
    load: Load,
    ask: impl Fn(C, u64) -> F + Clone + 'static,
) -> Result<Figures, String>
where
    C: 'static,
    F: Future<Output = Result<C, String>> + 'static,
{
    let recorder = Rc::new(RefCell::new(Recorder::new(&load, Instant::now())?));
    let tasks = LocalSet::new();
    let mut running = Vec::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        let (recorder, ask) = (recorder.clone(), ask.clone());
        running.push(tasks.spawn_local(async move {
            let mut keys = Keys::new(number);
            loop {
                let asked = Instant::now();
                client = ask(client, keys.next()).await?;
                if !recorder.borrow_mut().answered(asked, Instant::now()) {
                    return Ok::<(), String>(());
                }
            }
        }));
    }
    let joined = async {
        for task in running {
            task.await.map_err(|error| error.to_string())??;
        }
        Ok::<(), String>(())
    };
    tasks.run_until(joined).await?;
    Ok(recorder.borrow().figures())
}
