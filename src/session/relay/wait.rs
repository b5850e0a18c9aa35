//! What a session waits for, and what it does when that comes.

use std::pin::{Pin, pin};

use bytes::BytesMut;
use tokio::time::Instant;

use super::super::cancels::Done;
use super::super::door::{Moved, READ_BYTES, Socket, door, gone, next_read_bytes};
use super::super::hold::Hold;
use super::super::{End, Signal, Signals, Stage};
use super::{BACKLOG_BYTES_MAX, Relay};
use crate::store::Position;
use crate::tally::Way;

/// Outputs of the conversation that a silent session keeps memory for.
const OUTPUTS_KEPT: usize = 4;

/// What woke the session up.
enum Woken {
    ClientRead(usize),
    ServerRead(usize),
    Wrote,
    ServerDeaf,
    Logged,
    Answered(crate::approval::Verdict),
    Cancel(Done),
    CancelSent,
    Stage(Stage),
    Ended(End),
    Due,
}

impl<C: Socket, S: Socket> Relay<C, S> {
    /// Runs the session to its end.
    pub(in crate::session) async fn run(&mut self, signals: &mut Signals) -> End {
        loop {
            // Waited for once and not at every turn: each wait has its price.
            if let Err(end) = self.run_until(pin!(signals.next())).await {
                return end;
            }
            signals.look_again_at(self.tenure.next(Instant::now(), self.doing()));
        }
    }

    /// Runs the session to its end, or until a signal has been heeded.
    async fn run_until(&mut self, mut signal: Pin<&mut impl Future<Output = Signal>>) -> Result<(), End> {
        loop {
            self.turn().await?;
            if self.silent {
                self.silence()?;
            }
            if let Some(end) = &self.leaving
                && self.has_said_everything()
            {
                return Err(end.clone());
            }
            if let Some(end) = self.tenure.over(Instant::now(), self.doing()) {
                return Err(end);
            }
            if self.is_drained() {
                return Err(End::Shutdown);
            }
            match self.wake(signal.as_mut()).await? {
                Woken::Cancel(done) => return self.cancel(done),
                Woken::Stage(stage) => return self.staged(stage),
                Woken::Ended(end) => return Err(end),
                Woken::Due => return Ok(()),
                woken => self.woken(woken).await?,
            }
        }
    }

    /// Waits until something moves. Every branch is cancel safe: sockets are polled, not awaited.
    async fn wake(&mut self, signal: Pin<&mut impl Future<Output = Signal>>) -> Result<Woken, End> {
        self.rest();
        let durable = self.recording.durable();
        self.lag.reached(durable);
        let read_client = self.leaving.is_none()
            && !self.silent
            && self.to_server.waiting_bytes() < BACKLOG_BYTES_MAX
            && (self.hold.is_none() && self.waiting.is_none() && self.cancel_sent.is_none()
                || self.from_client.buffer().len() < self.bounds.ahead_bytes_max);
        let read_server =
            self.to_client.waiting_bytes() < BACKLOG_BYTES_MAX && !self.is_stopped() && self.leaving != Some(End::ClientGone);
        let awaited = [self.to_client.awaited(durable), self.to_server.awaited(durable), self.recording.held_back()];
        let awaited = awaited.into_iter().flatten().min();
        // What is written then changes nothing that is waited for here.
        let flowing = self.leaving.is_none()
            && !self.silent
            && !self.draining
            && self.to_server.waiting_bytes() < BACKLOG_BYTES_MAX
            && self.to_client.waiting_bytes() < BACKLOG_BYTES_MAX;
        let Self { client, server, from_client, from_server, to_client, to_server, recording, hold, cancel_sent, .. } = self;
        let ask = from_client.lacking_bytes().clamp(self.client_read_bytes, READ_BYTES * 16);
        let serve = from_server.lacking_bytes().clamp(self.server_read_bytes, READ_BYTES * 16);
        tokio::select! {
            moved = door(server, read_server.then_some((from_server.buffer(), serve)), to_server, durable, flowing) => match moved {
                Ok(Moved::Read(bytes)) => Ok(Woken::ServerRead(bytes)),
                Ok(Moved::Wrote) => Ok(Woken::Wrote),
                Ok(Moved::Deaf) => Ok(Woken::ServerDeaf),
                Err(_) => Ok(Woken::ServerRead(0)),
            },
            moved = door(client, read_client.then_some((from_client.buffer(), ask)), to_client, durable, flowing) => match moved {
                Ok(Moved::Read(bytes)) => Ok(Woken::ClientRead(bytes)),
                Ok(Moved::Wrote) => Ok(Woken::Wrote),
                Ok(Moved::Deaf) => Err(End::ClientGone),
                // What came before was said all the same.
                Err(_) => Ok(Woken::ClientRead(0)),
            },
            logged = recording.recorder().wait(Position(awaited.unwrap_or(u64::MAX))), if awaited.is_some() => match logged {
                Ok(()) => Ok(Woken::Logged),
                Err(_) => Err(End::LogFailed),
            },
            verdict = Hold::answer(hold), if hold.as_ref().is_some_and(Hold::is_asked) => Ok(Woken::Answered(verdict)),
            () = gone(cancel_sent) => Ok(Woken::CancelSent),
            signal = signal => Ok(match signal {
                Signal::Cancel(done) => Woken::Cancel(done),
                Signal::Stage(stage) => Woken::Stage(stage),
                Signal::End(end) => Woken::Ended(end),
                Signal::Due => Woken::Due,
            }),
        }
    }

    /// Gives back the memory that nothing is in: most sessions are silent most of the time.
    fn rest(&mut self) {
        for splitter in [&mut self.from_client, &mut self.from_server] {
            if splitter.buffer().is_empty() {
                *splitter.buffer() = BytesMut::new();
            }
        }
        self.to_client.rest();
        self.to_server.rest();
        if self.flow.is_quiet() {
            self.masked_rows = BytesMut::new();
            self.out.shrink_to(OUTPUTS_KEPT);
        }
    }

    async fn woken(&mut self, woken: Woken) -> Result<(), End> {
        match woken {
            Woken::ClientRead(bytes) => {
                self.client_read_bytes = next_read_bytes(bytes);
                self.lag.arrived(Way::Statement);
                self.tenure.active(Instant::now());
            }
            Woken::ServerRead(bytes) => {
                self.server_read_bytes = next_read_bytes(bytes);
                self.lag.arrived(Way::Reply);
            }
            _ => {}
        }
        match woken {
            Woken::ClientRead(0) => {
                self.silent = true;
                Ok(())
            }
            Woken::ServerRead(0) => {
                // Its last words may stand in the buffer.
                self.server_pieces().await?;
                if self.silent && self.leaving.is_none() {
                    self.leaving = Some(End::ClientGone);
                    return Ok(());
                }
                Err(match self.leaving {
                    Some(_) => End::Terminated,
                    None if self.last_word => End::ServerClosed,
                    None => End::ServerGone,
                })
            }
            Woken::ServerDeaf => {
                self.to_server.close();
                Ok(())
            }
            Woken::ClientRead(_) | Woken::ServerRead(_) | Woken::Wrote | Woken::Logged => Ok(()),
            Woken::Answered(verdict) => self.answered(verdict),
            Woken::CancelSent => {
                self.cancel_sent = None;
                Ok(())
            }
            Woken::Cancel(_) | Woken::Stage(_) | Woken::Ended(_) | Woken::Due => Ok(()),
        }
    }
}
