//! Which statement and which portal a name stands for, at the moment the server will read it.

use std::sync::Arc;

use bytes::Bytes;

use super::exchange::{Item, Portal, Ruling, Statement};
use super::{Flow, NAMES_MAX, Violation};

/// What a name stands for.
pub(super) enum Meaning<T> {
    /// This, if what stands before goes well; if it does not, the server skips whoever names it as well.
    Known(Option<Arc<T>>),
    /// That depends on answers to an earlier sequence, which has been ended by its Sync.
    Open,
}

impl<T> Meaning<T> {
    /// What it stands for as far as is known.
    pub(super) fn known(self) -> Option<Arc<T>> {
        match self {
            Self::Known(meant) => meant,
            Self::Open => None,
        }
    }
}

impl<R: Ruling, P> Flow<R, P> {
    /// The statement of this name when the server comes to read the next frame.
    pub(super) fn statement(&self, name: &Bytes) -> Meaning<Statement<R>> {
        let mut earlier = false;
        for item in self.owed.iter().rev() {
            match item {
                Item::Parse { name: parsed, .. } | Item::CloseStatement { name: parsed } if earlier && parsed == name => {
                    return Meaning::Open;
                }
                Item::Parse { name: parsed, statement } if parsed == name => return Meaning::Known(Some(Arc::clone(statement))),
                Item::CloseStatement { name: closed } if closed == name => return Meaning::Known(None),
                Item::Query { .. } if name.is_empty() => return Meaning::Known(None),
                item if name.is_empty() && item.parsed().is_some_and(Bytes::is_empty) => {
                    return if earlier { Meaning::Open } else { Meaning::Known(None) };
                }
                Item::Query { ruling, .. } | Item::Execute { ruling, .. } if ruling.renames(name) => return Meaning::Known(None),
                _ => {}
            }
            earlier |= item.ends_with_ready();
        }
        Meaning::Known(self.statements.get(name).map(Arc::clone))
    }

    /// The portal of this name when the server comes to read the next frame.
    pub(super) fn portal(&self, name: &Bytes) -> Meaning<Portal<R, P>> {
        let mut earlier = false;
        for item in self.owed.iter().rev() {
            match item {
                Item::Bind { portal } if earlier && portal.name == name => return Meaning::Open,
                Item::ClosePortal { name: closed } if earlier && closed == name => return Meaning::Open,
                Item::Bind { portal } if portal.name == name => return Meaning::Known(Some(Arc::clone(portal))),
                Item::ClosePortal { name: closed } if closed == name => return Meaning::Known(None),
                Item::Query { .. } if name.is_empty() => return Meaning::Known(None),
                Item::Query { ruling, .. } | Item::Execute { ruling, .. } if ruling.renames(name) => return Meaning::Known(None),
                _ => {}
            }
            earlier |= item.ends_with_ready();
        }
        Meaning::Known(self.portals.get(name).map(Arc::clone))
    }

    pub(super) fn keep_statement(&mut self, name: Bytes, statement: Arc<Statement<R>>) -> Result<(), Violation> {
        if self.statements.len() >= NAMES_MAX && !self.statements.contains_key(&name) {
            return Err(Violation::Names);
        }
        self.statements.insert(name, statement);
        Ok(())
    }

    pub(super) fn keep_portal(&mut self, portal: Arc<Portal<R, P>>) -> Result<(), Violation> {
        if self.portals.len() >= NAMES_MAX && !self.portals.contains_key(&portal.name) {
            return Err(Violation::Names);
        }
        self.portals.insert(portal.name.clone(), portal);
        Ok(())
    }

    pub(super) fn close_statement(&mut self, name: &Bytes) {
        self.statements.remove(name);
    }

    pub(super) fn close_portal(&mut self, name: &Bytes) {
        self.portals.remove(name);
    }

    /// Portals end with the transaction.
    pub(super) fn end_portals(&mut self) {
        self.portals.clear();
    }

    /// A Query destroys the unnamed statement and the unnamed portal.
    pub(super) fn end_unnamed(&mut self) {
        self.statements.remove(&Bytes::new());
        self.portals.remove(&Bytes::new());
    }

    /// Forgets the names that a text which has run may have given another meaning. The next use of such a name asks again.
    pub(super) fn forget_renamed(&mut self, ruling: &R) {
        self.statements.retain(|name, _| !ruling.renames(name));
        self.portals.retain(|name, _| !ruling.renames(name));
    }
}
