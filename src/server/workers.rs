//! The threads that sessions live on: one for each core, each with an event queue of its own. A session stays where it began, so
//! that nothing of it is handed from core to core, and no thread is woken for what another could do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::frontend::Stream;

/// Most threads, however many cores there are.
const WORKERS_MAX: usize = 64;

/// The threads. They end when this is dropped, and what still runs on them with them.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    handle: Handle,
    /// Connections that it serves.
    load: Arc<AtomicUsize>,
    /// Dropped to end it.
    _until: oneshot::Sender<()>,
}

impl Workers {
    /// Starts one for each core.
    ///
    /// # Errors
    /// The system's, if it has no threads or no event queues left.
    pub(super) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX));
        (0..cores).map(worker).collect::<std::io::Result<_>>().map(Self)
    }

    /// Serves a connection on the thread that has the fewest.
    pub(super) fn serve<F>(&self, client: Stream, serve: impl FnOnce(Stream) -> F + Send + 'static) -> std::io::Result<()>
    where
        F: Future<Output = ()> + Send,
    {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else { return Ok(()) };
        let client = Moving::from(client)?;
        let load = Load::of(&worker.load);
        worker.handle.spawn(async move {
            if let Ok(client) = client.arrive() {
                serve(client).await;
            }
            drop(load);
        });
        Ok(())
    }
}

/// A connection on its way from one event queue to another.
enum Moving {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Moving {
    fn from(client: Stream) -> std::io::Result<Self> {
        match client {
            Stream::Clear(tcp) => tcp.into_std().map(Self::Tcp),
            Stream::Unix(unix) => unix.into_std().map(Self::Unix),
            Stream::Tls(_) => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    /// To be called on the thread where it will stay.
    fn arrive(self) -> std::io::Result<Stream> {
        match self {
            Self::Tcp(tcp) => TcpStream::from_std(tcp).map(Stream::Clear),
            Self::Unix(unix) => UnixStream::from_std(unix).map(Stream::Unix),
        }
    }
}

/// Counts one connection while it is there.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn of(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn worker(number: usize) -> std::io::Result<Worker> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (until, ended) = oneshot::channel::<()>();
    std::thread::Builder::new().name(format!("sessions-{number}")).spawn(move || {
        // An error is what it waits for: that the other end is dropped.
        let _ = runtime.block_on(ended);
    })?;
    Ok(Worker { handle, load: Arc::default(), _until: until })
}
