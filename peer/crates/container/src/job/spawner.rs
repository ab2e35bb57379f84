//! The thread that starts processes. The kernel ends a sandboxed process when the *thread* that started it ends
//! (PDEATHSIG), so this must be a thread that lives as long as the runtime for chaincode does.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::process::{Child, Command};

type Request = (Command, mpsc::SyncSender<io::Result<Child>>);

pub(super) struct Spawner(mpsc::Sender<Request>);

impl Spawner {
    /// Starts the thread; it ends when the spawner is dropped.
    pub(super) fn new(runtime: tokio::runtime::Handle) -> io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<Request>();
        let serve = move || {
            let _inside = runtime.enter();
            for (mut command, answer) in incoming {
                // A caller that went away drops the child, which kills it.
                drop(answer.send(command.spawn()));
            }
        };
        thread::Builder::new()
            .name("chaincode-spawn".to_owned())
            .spawn(serve)?;
        Ok(Self(requests))
    }

    /// Starts the process. Waits for the thread, about a millisecond.
    pub(super) fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, result) = mpsc::sync_channel(1);
        self.0
            .send((command, answer))
            .map_err(|gone| io::Error::other(gone.to_string()))?;
        result.recv().map_err(io::Error::other)?
    }
}
