//! A relay that breaks what passes through it, as its plan says: it cuts, holds back, splits and falls silent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::random::Dice;

/// Most bytes that are looked at to choose a plan, and moved at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long a direction that has fallen silent waits for its connection to be closed.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How a connection ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both sides are closed.
    Close,
    /// Both sides are reset.
    Reset,
    /// This direction is closed, the other goes on.
    Half,
    /// Nothing more comes this way, and nobody is told.
    Silence,
}

/// What happens on the way in one direction.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Bytes go on in pieces of this size, each sent for itself.
    pub pieces: Option<usize>,
    /// After so many bytes what follows is held back for a time.
    pub pause: Option<(u64, Duration)>,
    /// After so many bytes the connection ends.
    pub cut: Option<(u64, Cut)>,
}

/// What happens to one connection.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// From who connects to what it reaches.
    pub out: Way,
    /// And back.
    pub back: Way,
}

impl Plan {
    /// A plan of this seed; `cuts` in a hundred end early, by byte `bytes_max` at most.
    #[must_use]
    pub fn random(dice: &mut Dice, cuts: usize, bytes_max: usize) -> Self {
        let mut plan = Self { out: Way::random(dice, bytes_max), back: Way::random(dice, bytes_max) };
        if dice.chance(cuts) {
            let cut = *dice.pick(&[Cut::Close, Cut::Close, Cut::Reset, Cut::Reset, Cut::Half, Cut::Silence]);
            let way = if dice.chance(50) { &mut plan.out } else { &mut plan.back };
            way.cut = Some((dice.below(bytes_max) as u64, cut));
        }
        plan
    }

    /// True if the connection ends before its time.
    #[must_use]
    pub fn cuts(&self) -> bool {
        self.out.cut.is_some() || self.back.cut.is_some()
    }
}

impl Way {
    fn random(dice: &mut Dice, bytes_max: usize) -> Self {
        let pieces = match dice.below(6) {
            0 => Some(1),
            1 => Some(1 + dice.below(16)),
            2 => Some(1 + dice.below(600)),
            _ => None,
        };
        let pause = dice.chance(40).then(|| (dice.below(bytes_max) as u64, Duration::from_millis(1 + dice.below(30) as u64)));
        Self { pieces, pause, cut: None }
    }
}

/// A listening relay; it ends with this value.
pub struct Relay {
    port: u16,
    _runtime: Option<Runtime>,
}

impl Relay {
    /// Begins to listen; every connection goes on to the port `target` by the plan that its first bytes choose.
    ///
    /// # Panics
    /// If there is no port to listen on.
    #[must_use]
    pub fn start(target: u16, plan: impl Fn(&[u8]) -> Plan + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = SocketAddr::from(([127, 0, 0, 1], target));
        let plan = Arc::new(plan);
        runtime.spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let plan = Arc::clone(&plan);
                tokio::spawn(async move { drop(pass(client, target, &*plan).await) });
            }
        });
        Self { port, _runtime: Some(runtime) }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self._runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, plan: &(dyn Fn(&[u8]) -> Plan + Send + Sync)) -> io::Result<()> {
    let mut first = vec![0; CHUNK_BYTES];
    let count = client.read(&mut first).await?;
    first.truncate(count);
    let plan = plan(&first);
    let server = TcpStream::connect(target).await?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    let (ended, end) = watch::channel(None);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let out = Direction { from: from_client, to: to_server, way: plan.out, moved: 0, ended: ended.clone(), end: end.clone() };
    let back = Direction { from: from_server, to: to_client, way: plan.back, moved: 0, ended, end };
    let (out, back) = tokio::join!(tokio::spawn(out.run(first)), tokio::spawn(back.run(Vec::new())));
    if let (Ok((out, reset)), Ok((back, other))) = (out, back)
        && (reset || other)
    {
        // Closing with nothing to linger for resets.
        for half in [&out.from, &back.from] {
            let _ = socket2::SockRef::from(half.as_ref()).set_linger(Some(Duration::ZERO));
        }
    }
    Ok(())
}

struct Direction {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    way: Way,
    moved: u64,
    ended: watch::Sender<Option<Cut>>,
    end: watch::Receiver<Option<Cut>>,
}

impl Direction {
    /// Moves bytes until this or the other direction ends; true if by a reset.
    async fn run(mut self, first: Vec<u8>) -> (Self, bool) {
        let mut end = self.end.clone();
        let how = tokio::select! {
            how = self.all(first) => how,
            told = end.wait_for(Option::is_some) => told.map_or(Some(Cut::Close), |told| *told),
        };
        match how {
            Some(Cut::Half) | None => {
                let _ = self.to.shutdown().await;
            }
            Some(cut) => {
                self.ended.send_if_modified(|told| told.is_none() && told.replace(cut).is_none());
            }
        }
        let reset = *self.ended.borrow() == Some(Cut::Reset);
        (self, reset)
    }

    /// How it ends: by a cut, or because there is no more.
    async fn all(&mut self, first: Vec<u8>) -> Option<Cut> {
        let mut chunk = first;
        loop {
            if let Err(cut) = self.forward(&chunk).await {
                return cut;
            }
            chunk.resize(CHUNK_BYTES, 0);
            match self.from.read(&mut chunk).await {
                Ok(0) => return None,
                Ok(count) => chunk.truncate(count),
                Err(_) => return Some(Cut::Close),
            }
        }
    }

    async fn forward(&mut self, chunk: &[u8]) -> Result<(), Option<Cut>> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let mut count = rest.len().min(self.way.pieces.unwrap_or(usize::MAX));
            if let Some((at, wait)) = self.way.pause {
                let before = usize::try_from(at.saturating_sub(self.moved)).unwrap_or(usize::MAX);
                if before == 0 {
                    self.way.pause = None;
                    sleep(wait).await;
                } else {
                    count = count.min(before);
                }
            }
            if let Some((at, cut)) = self.way.cut {
                let before = usize::try_from(at.saturating_sub(self.moved)).unwrap_or(usize::MAX);
                if before == 0 {
                    return Err(self.cut(cut).await);
                }
                count = count.min(before);
            }
            let (piece, behind) = rest.split_at(count);
            self.to.write_all(piece).await.map_err(|_| Some(Cut::Close))?;
            self.moved += count as u64;
            rest = behind;
            if self.way.pieces.is_some() {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// A silent direction still sees its sender go.
    async fn cut(&mut self, cut: Cut) -> Option<Cut> {
        if cut == Cut::Silence {
            let mut sink = vec![0; CHUNK_BYTES];
            let gone = async { while matches!(self.from.read(&mut sink).await, Ok(count) if count > 0) {} };
            let _ = tokio::time::timeout(SILENCE_MAX, gone).await;
            return Some(Cut::Close);
        }
        Some(cut)
    }
}
