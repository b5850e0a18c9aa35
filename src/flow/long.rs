//! Messages that go to the server unread. Of one that is too long to be collected only the beginning is ruled upon, and what follows of
//! it goes the same way; one that is malformed the server answers with an error of its own.

use bytes::Bytes;

use super::client::{Asked, Next, Waiting, known};
use super::exchange::{Item, Output, Ruling, Violation};
use super::{Copying, Flow};
use crate::wire::{self, Frame, Malformed, client_tag};

impl<R: Ruling, P> Flow<R, P> {
    /// A malformed message goes to the server all the same.
    ///
    /// # Errors
    /// `Client` for a message that the server would not answer with an error that can be gone on from.
    pub fn invalid(&mut self, frame: Frame, ruling: R, number: u64, out: &mut Vec<Output<R, P>>) -> Result<(), Violation> {
        self.asked = None;
        let item = match frame.tag() {
            tag if self.skipping => return known(tag),
            client_tag::QUERY if !self.unsynced() => {
                self.barred = true;
                self.executed = 0;
                Item::Query { ruling, number }
            }
            client_tag::PARSE | client_tag::BIND | client_tag::DESCRIBE | client_tag::EXECUTE | client_tag::CLOSE => {
                Item::Invalid
            }
            other => return Err(Violation::Client(Malformed::Tag(other))),
        };
        out.push(Output::ToServer(frame.into_bytes()));
        self.owed.push_back(item);
        Ok(())
    }

    /// Takes the beginning of such a message, once everything asked so far is answered (`is_quiet`). If it is forwarded, the caller
    /// sends the rest behind it, and gives the conversation nothing else of the client's before that is done.
    ///
    /// # Errors
    /// `Client` for a message that is never so long, or whose names are not in its beginning.
    pub fn long(&mut self, head: &Bytes) -> Result<Next<R>, Violation> {
        let tag = head.first().copied().unwrap_or_default();
        if self.copying == Copying::In || !self.is_quiet() {
            return Err(Violation::Client(Malformed::Tag(tag)));
        }
        self.barred = false;
        self.ends_ahead = 0;
        if self.skipping {
            return known(tag).map(|()| Next::Go);
        }
        let bytes = head.clone();
        let (waiting, asked) = match tag {
            client_tag::QUERY => {
                let query = wire::Query::begun(head).map_err(Violation::Client)?;
                (Waiting::Query(bytes), Asked::Query(query))
            }
            client_tag::PARSE => {
                let parse = wire::Parse::begun(head).map_err(Violation::Client)?;
                (Waiting::Parse { bytes, name: parse.name.clone() }, Asked::Parse(parse))
            }
            client_tag::BIND => {
                let bind = wire::Bind::begun(head).map_err(Violation::Client)?;
                let statement = self.statement(&bind.statement).known();
                let ruling = statement.as_ref().map(|statement| statement.ruling.clone());
                (Waiting::Bind { bytes, portal: bind.portal.clone(), statement }, Asked::Bind(bind, ruling))
            }
            other => return Err(Violation::Client(Malformed::Tag(other))),
        };
        self.asked = Some(waiting);
        Ok(Next::Ask(asked))
    }
}
